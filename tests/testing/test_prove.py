from dataclasses import replace

import pytest

from gptkit.components.norm.rmsnorm import RMSNorm
from gptkit.testing.checks import CHECKS
from gptkit.testing.outcome import DoesNotApply, Refusal
from gptkit.testing.prove import IN_VAIN, prove
from gptkit.testing.subject import Subject

IS_FINITE = next(check for check in CHECKS if check.id == "is_finite")


@pytest.mark.parametrize(
    ("error", "applies_from", "verdict", "tried"),
    [
        (DoesNotApply, 1000, "not applicable", IN_VAIN),
        # Once it has held, it goes on.
        (DoesNotApply, 0, "held", IN_VAIN + 1),
        # Another input may be accepted.
        (Refusal, 2 * IN_VAIN, "held", 3 * IN_VAIN),
    ],
)
def test_a_check_that_never_applies_is_tried_on_few_inputs(
    error: type[DoesNotApply], applies_from: int, verdict: str, tried: int
) -> None:
    seen = []

    def law(build: object, case: object) -> None:
        seen.append(case)
        if len(seen) <= applies_from:
            raise error("no such thing")

    outcome = prove(replace(IS_FINITE, law=law), Subject(part=RMSNorm))
    assert outcome.verdict == verdict
    assert outcome.why == ("" if verdict == "held" else "no such thing")
    assert len(seen) == tried if verdict == "not applicable" else len(seen) >= tried
