"""Laws of every registered position."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptkit.interfaces import Position
from gptkit.testing import position_laws
from gptkit.testing.case import Build, Case
from gptkit.testing.strategies import EVEN_WIDTHS, cases
from gptkit.testing.subjects import registered

SUBJECTS = registered(Position)
LAWS = [position_laws.starts_anywhere, position_laws.position_mutates_nothing]


# Some positions turn channels in pairs, and need an even width.
@pytest.mark.parametrize("position", SUBJECTS.values(), ids=SUBJECTS)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@given(case=cases(T=st.integers(1, 7), D=st.sampled_from(EVEN_WIDTHS)))
def test_law(law: Callable[[Build[Position], Case], None], position: type[Position], case: Case) -> None:
    law(position, case)
