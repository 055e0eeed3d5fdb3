"""The contract: every check there is, and the kinds of parts whose promise it is.

A level is frozen once it is released. A later check gets a later level, so that it breaks nobody's tests before
they ask for that level.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from hypothesis import strategies as st

from gptkit.attention import SoftmaxAttention
from gptkit.interfaces import HasReference
from gptkit.testing import (
    attend_laws,
    attention_laws,
    block_laws,
    compile_laws,
    corpus_laws,
    dropout_laws,
    gradient_laws,
    limit_laws,
    memory_laws,
    module_laws,
    number_laws,
    optimizer_laws,
    position_laws,
    reference_laws,
    schedule_laws,
    state_laws,
    tokenizer_laws,
)
from gptkit.testing.attend_equivalence import attends_as_reference
from gptkit.testing.case import Case
from gptkit.testing.check import Check
from gptkit.testing.equivalence import equals_reference, in_dtype
from gptkit.testing.input import Input
from gptkit.testing.strategies import (
    Inputs,
    attended_cases,
    bowls,
    broad_cases,
    cases,
    far_cases,
    long_cases,
    nothing,
    runs,
    small_cases,
    texts,
)

Law = Callable[..., None]

MODULES = ("attention", "feed_forward", "norm", "position", "block")
MIXERS = ("attention", "block")
DROPPERS = ("attention", "feed_forward", "block")
DTYPES = ("float64", "float32", "bfloat16", "float16")


def of(kinds: Iterable[str], law: Law, inputs: Inputs = cases, *, case: type[Input] = Case, **more: Any) -> Check:
    """Return a check that is called like its law."""
    return Check(
        id=law.__name__, promise=promise(law), law=law, kinds=tuple(kinds), inputs=inputs, case=case, **more
    )


def in_dtypes(kinds: Iterable[str], law: Law, inputs: Inputs, *, suffix: str = "", **more: Any) -> list[Check]:
    """Return a check in each dtype."""
    return [
        Check(
            id=f"{law.__name__}{suffix}_in_{name}",
            promise=f"{promise(law)}, in {name}",
            law=partial(in_dtype, law, getattr(torch, name)),
            kinds=tuple(kinds),
            inputs=inputs,
            case=Case,
            **more,
        )
        for name in DTYPES
    ]


def promise(law: Law) -> str:
    """Return what a law asserts."""
    return (law.__doc__ or "").partition("\n")[0].removeprefix("Assert that ").rstrip(".")


# One shape, because each takes seconds to compile.
one_shape: Inputs = partial(broad_cases, B=st.just(2), T=st.just(5), strided=st.just(False), spare=st.just(3))
one_width: Inputs = partial(broad_cases, B=st.just(2), T=st.just(9), strided=st.just(False))

EVERY_MODULE = [
    of(MODULES, module_laws.keeps_shape_and_dtype, small_cases),
    of(MODULES, module_laws.varies_with_the_input, broad_cases, share=0.2),
    of(MODULES, module_laws.rows_are_independent, small_cases),
    of(MODULES, module_laws.reads_any_layout),
    of(MODULES, module_laws.input_is_not_mutated),
    of(MODULES, module_laws.every_parameter_gets_a_gradient, broad_cases, share=0.2),
    of(MODULES, number_laws.is_finite, small_cases),
    of(MODULES, number_laws.is_precise, broad_cases),
    of(MODULES, number_laws.is_right_in_bfloat16, broad_cases),
    of(MODULES, number_laws.takes_autocast, broad_cases, share=0.2),
    of(MODULES, gradient_laws.gradients_are_right, broad_cases, share=0.5),
    of(MODULES, state_laws.eval_is_deterministic, share=0.5),
    of(MODULES, state_laws.trains_as_it_evaluates, broad_cases, share=0.2),
    of(MODULES, state_laws.forgets_earlier_passes, small_cases, share=0.2),
    of(MODULES, state_laws.first_weights_are_drawn, broad_cases, share=0.2),
    of(MODULES, state_laws.state_dict_round_trips, small_cases, share=0.5),
    of(MODULES, state_laws.reads_only_what_was_written, small_cases, share=0.5),
    of(MODULES, limit_laws.limits_are_declared, small_cases, share=0.1),
    of(MODULES, compile_laws.compiles_to_one_graph, one_shape, share=0.02),
    of(MODULES, compile_laws.compiles_for_any_length, one_shape, share=0.02),
    of(MODULES, compile_laws.compiled_equals_eager, one_shape, share=0.02),
]
EACH_POSITION_ALONE = [
    of(("feed_forward", "norm"), module_laws.positions_are_independent, small_cases),
    of(("norm",), number_laws.is_finite_at_rest, small_cases),
    of(("norm",), number_laws.is_precise_far_from_zero, broad_cases, share=0.2),
]
DROPOUT = [
    of(DROPPERS, dropout_laws.dropout_is_off_in_eval, broad_cases, share=0.5),
    of(DROPPERS, dropout_laws.dropout_follows_the_seed, broad_cases, share=0.5),
    of(DROPPERS, gradient_laws.gradients_are_right_in_training, broad_cases, share=0.2),
    of(("attention", "feed_forward"), dropout_laws.dropout_keeps_the_mean, one_width, share=0.1),
    of(("attention", "feed_forward"), dropout_laws.output_dropout_has_its_rate, one_width, share=0.1),
    of(("attention",), dropout_laws.dropout_has_its_rate, broad_cases, share=0.2, only=(SoftmaxAttention,)),
    of(("attention",), dropout_laws.dropout_is_independent, broad_cases, share=0.1, only=(SoftmaxAttention,)),
]
BLOCK = [
    of(("block",), block_laws.takes_any_parts, small_cases, share=0.2),
    of(("block",), block_laws.uses_the_parts_it_is_given, small_cases, share=0.2),
]
MIXING = [
    of(MIXERS, attention_laws.never_reads_the_future),
    of(MIXERS, attention_laws.reads_the_past, broad_cases, share=0.2),
    of(("attention",), attention_laws.constant_input_stays_constant, small_cases),
    of(MIXERS, attention_laws.honours_visible, small_cases),
    of(MIXERS, attention_laws.asks_its_place, broad_cases, share=0.2),
    of(MIXERS, memory_laws.cache_changes_nothing, small_cases),
    of(MIXERS, memory_laws.cache_keeps_positions, small_cases, share=0.5),
    of(MIXERS, memory_laws.memories_are_apart, small_cases, share=0.5),
    of(MIXERS, memory_laws.decoding_waits_for_nothing, small_cases, share=0.2),
    of(MIXERS, compile_laws.decoding_compiles_once, one_shape, share=0.02),
]
ATTEND = [
    of(("attention",), law, attended_cases, only=(SoftmaxAttention,))
    for law in (
        attend_laws.sees_up_to_itself,
        attend_laws.constant_values_come_back,
        attend_laws.attend_honours_visible,
        attend_laws.broadcasts_visible,
        attend_laws.attend_mutates_nothing,
        attend_laws.attend_forgets,
    )
]
REFERENCE = [
    of(MODULES, reference_laws.reference_keeps_the_laws, broad_cases, share=0.2, only=(HasReference,)),
    *in_dtypes(MODULES, equals_reference, attended_cases, only=(SoftmaxAttention, HasReference)),
    *in_dtypes(
        ("attention",), equals_reference, long_cases, suffix="_when_long", only=(SoftmaxAttention, HasReference)
    ),
    *in_dtypes(("attention",), attends_as_reference, attended_cases, only=(SoftmaxAttention,)),
    *in_dtypes(
        ("attention",), attends_as_reference, far_cases, suffix="_from_afar", only=(SoftmaxAttention,), share=0.2
    ),
]
POSITION = [
    of(("position",), law, small_cases)
    for law in (
        position_laws.starts_anywhere,
        position_laws.reads_places_on_the_device,
        position_laws.position_mutates_nothing,
    )
]
TOKENIZER = [
    of(("tokenizer",), law, texts, case=tokenizer_laws.TextCase)
    for law in (
        tokenizer_laws.round_trips,
        tokenizer_laws.refuses_clearly,
        tokenizer_laws.encodes_its_own_text,
        tokenizer_laws.ids_are_in_the_vocabulary,
        tokenizer_laws.every_id_is_text,
        tokenizer_laws.json_round_trips,
        tokenizer_laws.is_a_function_of_the_text,
    )
]
OPTIMIZER = [
    of(("optimizer",), law, bowls, case=optimizer_laws.BowlCase, share=0.5)
    for law in (
        optimizer_laws.lowers_a_convex_loss,
        optimizer_laws.moves_every_kind_of_weight,
        optimizer_laws.takes_each_weight_once,
        optimizer_laws.follows_the_learning_rate,
        optimizer_laws.leaves_out_what_has_no_gradient,
        optimizer_laws.state_is_data,
        optimizer_laws.goes_on_from_its_state,
    )
]
SCHEDULE = [
    of(("schedule",), law, runs, case=schedule_laws.RunCase)
    for law in (
        schedule_laws.is_defined_throughout,
        schedule_laws.depends_on_the_step_alone,
        schedule_laws.learns_something,
    )
]
CORPUS = [
    of(("corpus",), law, nothing, case=corpus_laws.NoCase, share=0.05)
    for law in (corpus_laws.gives_text, corpus_laws.gives_the_same_again, corpus_laws.keeps_validation_apart)
]

CHECKS = (
    *EVERY_MODULE,
    *EACH_POSITION_ALONE,
    *DROPOUT,
    *BLOCK,
    *MIXING,
    *ATTEND,
    *REFERENCE,
    *POSITION,
    *TOKENIZER,
    *OPTIMIZER,
    *SCHEDULE,
    *CORPUS,
)
