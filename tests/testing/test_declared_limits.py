"""What a part declares that it cannot be combined with is not asked of it, and nothing else is left out."""

from dataclasses import replace

import pytest

from gptkit.testing.case import Case
from gptkit.testing.checks import CHECKS
from gptkit.testing.declared_limits import declared_limits
from gptkit.testing.prove import prove
from gptkit.testing.strategies import attended_cases
from gptkit.testing.subject import Subject
from tests.testing.right_parts import LimitedAttention, MeanAttention

LIMITED, UNLIMITED = Subject(part=LimitedAttention), Subject(part=MeanAttention)
BY_ID = {check.id: check for check in CHECKS}


def test_a_limit_is_found_with_its_reason() -> None:
    assert declared_limits(LIMITED) == {"a position that rotates": "it rotates nothing"}
    assert declared_limits(UNLIMITED) == {}


@pytest.mark.parametrize("id", ["uses_its_context", "cache_keeps_positions"])
def test_a_check_beyond_the_limit_does_not_apply(id: str) -> None:
    outcome = prove(BY_ID[id], LIMITED)
    assert outcome.verdict == "not applicable"
    assert outcome.why == "it declares that it cannot take a position that rotates: it rotates nothing"
    assert BY_ID[id].why_not_applicable(UNLIMITED) == ""


def test_a_check_within_the_limit_is_tried() -> None:
    outcomes = [prove(BY_ID[id], LIMITED, case="{}") for id in ("honours_attn_mask", "keeps_its_limits")]
    assert [outcome.verdict for outcome in outcomes] == ["held", "held"]


def test_no_input_beyond_the_limit_is_drawn() -> None:
    drawn: list[Case] = []
    check = replace(BY_ID["keeps_its_limits"], law=lambda build, case: drawn.append(case), inputs=attended_cases)
    prove(check, LIMITED)
    assert {case.rotated for case in drawn} == {False}
    assert len({case.mask_axes for case in drawn}) > 1
