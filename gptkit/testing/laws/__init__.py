"""The laws: each asserts one promise of a part, given what builds the part and one input."""

from gptkit.testing.laws import (
    attend as attend,
    attention as attention,
    block as block,
    cache as cache,
    compile as compile,
    corpus as corpus,
    dropout as dropout,
    gradient as gradient,
    history as history,
    limit as limit,
    module as module,
    number as number,
    optimizer as optimizer,
    parameter_groups as parameter_groups,
    position as position,
    reference as reference,
    schedule as schedule,
    state as state,
    tokenizer as tokenizer,
    tokenizer_use as tokenizer_use,
)
