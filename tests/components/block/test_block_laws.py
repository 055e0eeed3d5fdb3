"""Laws of every registered block."""

from collections.abc import Callable

import pytest
from hypothesis import given

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.interfaces import Block, Dims
from gptkit.testing import module_laws
from gptkit.testing.attention_laws import cache_changes_nothing, never_reads_the_future
from gptkit.testing.case import Build, Case
from gptkit.testing.parts import GivenParts
from gptkit.testing.strategies import cases
from gptkit.testing.subjects import registered

SUBJECTS = registered(Block)
LAWS = [
    module_laws.is_finite,
    module_laws.rows_are_independent,
    module_laws.eval_is_deterministic,
    module_laws.input_is_not_mutated,
    module_laws.state_dict_round_trips,
    never_reads_the_future,
    cache_changes_nothing,
]


def with_parts(block: type[Block]) -> Build[Block]:
    """Return what builds a block of ordinary parts."""

    def build(dims: Dims) -> Block:
        return block(dims, GivenParts(dims, NaiveAttention, GeluFeedForward, LayerNorm))

    return build


@pytest.mark.parametrize("block", SUBJECTS.values(), ids=SUBJECTS)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@given(case=cases())
def test_law(law: Callable[[Build[Block], Case], None], block: type[Block], case: Case) -> None:
    law(with_parts(block), case)


# With one channel, or one token, a norm or a softmax leaves nothing that depends on some parameters.
@pytest.mark.parametrize("block", SUBJECTS.values(), ids=SUBJECTS)
def test_every_parameter_gets_a_gradient(block: type[Block]) -> None:
    module_laws.every_parameter_gets_a_gradient(with_parts(block), Case())
