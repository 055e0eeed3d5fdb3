from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import strategies as st

from gptkit.components.norm.rmsnorm import RMSNorm
from gptkit.testing.case import Case
from gptkit.testing.checks import CHECKS
from gptkit.testing.outcome import DoesNotApply, Outcome, Refusal, Verdict, why_no_proof
from gptkit.testing.prove import prove
from gptkit.testing.subject import Subject
from gptkit.testing.trial import IN_VAIN, REFUSED_AT_LEAST

IS_FINITE = next(check for check in CHECKS if check.id == "is_finite")


@pytest.mark.parametrize(
    ("error", "applies_from", "verdict", "tried"),
    [
        (DoesNotApply, 1000, "not applicable", IN_VAIN),
        # Once it has held, it goes on.
        (DoesNotApply, 0, "held", IN_VAIN + 1),
        # Another input may be accepted.
        (Refusal, 2 * IN_VAIN, "held", 3 * IN_VAIN),
        (Refusal, 1000, "not run", 2 * 50),
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
    assert len(seen) >= tried if verdict == "held" else len(seen) == tried
    assert outcome.refused == (min(applies_from, tried) if error is Refusal else 0)


def refusing(is_refused: Callable[[Case], bool]) -> Outcome:
    """Return the outcome of a check on a part that refuses some inputs."""

    def law(build: object, case: Case) -> None:
        if is_refused(case):
            raise Refusal("it refuses: not this")

    return prove(replace(IS_FINITE, law=law), Subject(part=RMSNorm))


@pytest.mark.parametrize(
    ("is_refused", "unseen"),
    [
        (lambda case: case.T > 1, "more than one position"),
        (lambda case: case.B > 1 or case.strided, "axes in reverse order in memory or more than one row"),
    ],
)
def test_what_a_part_always_refuses_was_not_proven(is_refused: Callable[[Case], bool], unseen: str) -> None:
    outcome = refusing(is_refused)
    assert (outcome.verdict, outcome.why) == ("not run", f"never tried with {unseen}: it refuses: not this")
    assert outcome.refused > 0


def test_what_a_part_refuses_here_and_accepts_there_was_proven() -> None:
    outcome = refusing(lambda case: case.T > 1 and case.B > 1)
    assert (outcome.verdict, outcome.inputs) == ("held", 50)
    assert outcome.refused > 0


@pytest.mark.parametrize(("error", "least"), [(DoesNotApply, 50), (Refusal, 1234)])
def test_a_failure_is_not_hidden_by_what_does_not_apply_while_it_is_shrunk(
    error: type[DoesNotApply], least: int
) -> None:
    sizes = st.integers(1, 10_000)
    drawn = st.builds(Case, B=sizes, T=sizes, seed=sizes)
    inapplicable = 0

    def law(build: object, case: Case) -> None:
        nonlocal inapplicable
        if min(case.B, case.T, case.seed) < least:
            inapplicable += 1
            raise error("no such thing")
        raise AssertionError("it is wrong")

    outcome = prove(replace(IS_FINITE, law=law, inputs=lambda subject: drawn), Subject(part=RMSNorm))
    assert (outcome.verdict, outcome.why.splitlines()[0]) == ("broken", "it is wrong")
    assert inapplicable > (IN_VAIN if error is DoesNotApply else REFUSED_AT_LEAST)


def outcome(verdict: Verdict, *, is_law: bool = True, is_core: bool = False) -> Outcome:
    return Outcome("c", "it does", verdict, is_law=is_law, is_core=is_core)


@pytest.mark.parametrize(
    ("outcomes", "why"),
    [
        ([outcome("held")], ""),
        ([outcome("held"), outcome("not run"), outcome("not applicable")], ""),
        ([outcome("held"), outcome("broken")], "broken: c"),
        ([outcome("not run"), outcome("not applicable")], "nothing held"),
        ([outcome("held", is_law=False), outcome("not run")], "nothing held"),
        ([outcome("held"), outcome("not run", is_core=True)], "not tried: c"),
        ([outcome("held"), outcome("not applicable", is_core=True)], "not tried: c"),
        ([outcome("held", is_law=False)], ""),
        ([outcome("held", is_law=False), outcome("not run", is_law=False, is_core=True)], "not tried: c"),
    ],
)
def test_what_is_a_proof(outcomes: list[Outcome], why: str) -> None:
    assert why_no_proof(outcomes) == why
