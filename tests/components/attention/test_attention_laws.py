"""Laws of every registered attention."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gptkit.interfaces import Attention, Position
from gptkit.testing import module_laws
from gptkit.testing.attention_laws import (
    cache_changes_nothing,
    decoding_waits_for_nothing,
    never_reads_the_future,
)
from gptkit.testing.case import Build, Case
from gptkit.testing.strategies import EVEN_WIDTHS, cases
from gptkit.testing.subjects import registered

SUBJECTS = registered(Attention)
each_attention = pytest.mark.parametrize("attention", SUBJECTS.values(), ids=SUBJECTS)
POSITIONS = [None, *registered(Position).values()]
LAWS = [
    module_laws.is_finite,
    module_laws.rows_are_independent,
    module_laws.eval_is_deterministic,
    module_laws.input_is_not_mutated,
    module_laws.every_parameter_gets_a_gradient,
    module_laws.state_dict_round_trips,
    never_reads_the_future,
]


@each_attention
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@given(case=cases())
def test_law(law: Callable[[Build[Attention], Case], None], attention: type[Attention], case: Case) -> None:
    law(attention, case)


# Some positions turn channels in pairs, and need an even width.
@each_attention
@pytest.mark.parametrize("position", POSITIONS)
@given(case=cases(D=st.sampled_from(EVEN_WIDTHS)), first_on_device=st.booleans())
def test_a_cache_changes_nothing(
    attention: type[Attention], position: type[Position] | None, case: Case, first_on_device: bool
) -> None:
    cache_changes_nothing(attention, case, position, first_on_device=first_on_device)


@each_attention
@pytest.mark.parametrize("position", POSITIONS)
def test_decoding_waits_for_nothing(attention: type[Attention], position: type[Position] | None) -> None:
    decoding_waits_for_nothing(attention, Case(), position)


@pytest.mark.cuda
@each_attention
@pytest.mark.parametrize("first_on_device", [False, True])
def test_a_cache_changes_nothing_on_cuda(attention: type[Attention], first_on_device: bool) -> None:
    case = Case(H=4, T=40, D=64, dtype=torch.bfloat16, device=torch.device("cuda"))
    cache_changes_nothing(attention, case, first_on_device=first_on_device)
