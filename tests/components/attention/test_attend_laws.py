"""Laws of `attend` in every registered softmax attention."""

from collections.abc import Callable

import pytest
from hypothesis import given

from gptkit.attention import SoftmaxAttention
from gptkit.testing import attend_laws
from gptkit.testing.case import Build, Case
from gptkit.testing.strategies import cases
from gptkit.testing.subjects import registered

SUBJECTS = registered(SoftmaxAttention)
LAWS = [
    attend_laws.sees_up_to_itself,
    attend_laws.constant_values_come_back,
    attend_laws.honours_visible,
    attend_laws.broadcasts_visible,
    attend_laws.attend_mutates_nothing,
]


@pytest.mark.parametrize("attention", SUBJECTS.values(), ids=SUBJECTS)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@given(case=cases())
def test_law(
    law: Callable[[Build[SoftmaxAttention], Case], None], attention: type[SoftmaxAttention], case: Case
) -> None:
    law(attention, case)
