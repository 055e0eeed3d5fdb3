"""How many inputs a check tries, what its outcome is, and why it may not apply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Verdict = Literal["held", "broken", "expected", "not applicable", "not run"]


@dataclass(frozen=True)
class Depth:
    """How thoroughly a check tries.

    Args:
        inputs: Number of inputs of an ordinary check.
        seed: The seed from which inputs are drawn.
        shrink: Whether to search for the smallest input on which the check fails.
    """

    inputs: int = 50
    seed: int = 0
    shrink: bool = True


ORDINARY, DEEP = Depth(), Depth(inputs=500)


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check.

    Args:
        check: Its id.
        why: What is broken, on which input, and how to reproduce it; or why the check did not run.
        inputs: Number of inputs on which it held, or was found broken.
        error: What the part or the check raised.
        refused: Number of inputs that the part refused.
        is_law: Whether the check is of the part itself, and not of how it is loaded.
        is_core: Whether nothing is proven where this was not tried.
        tolerance: By how much the part may depart, because it says so; 0 where rounding alone is allowed.
        cause: What the part's own line raised, and where; empty if a law found fault or nothing is broken.
    """

    check: str
    promise: str
    verdict: Verdict
    why: str = ""
    inputs: int = 0
    seconds: float = 0.0
    error: BaseException | None = None
    refused: int = 0
    is_law: bool = True
    is_core: bool = False
    tolerance: float = 0.0
    cause: str = ""


def as_expected(outcome: Outcome, reasons: Mapping[str, str]) -> Outcome:
    """Return an outcome as "expected" if it is broken for a reason that is given by its check, and broken if not.

    Args:
        reasons: Why a check is expected to fail, by its id.
    """
    if not (reason := reasons.get(outcome.check)):
        return outcome
    if outcome.verdict == "broken":
        return replace(outcome, verdict="expected", why=reason)
    if outcome.verdict == "held":
        return replace(outcome, verdict="broken", why=f"it holds, and was expected to fail: {reason}")
    return outcome


def why_no_proof(outcomes: Sequence[Outcome]) -> str:
    """Return why the outcomes of a part do not prove it, or the empty string if they do."""
    if broken := [outcome.check for outcome in outcomes if outcome.verdict == "broken"]:
        return f"broken: {', '.join(broken)}"
    laws = [outcome for outcome in outcomes if outcome.is_law]
    if laws and not any(outcome.verdict == "held" for outcome in laws):
        return "nothing held"
    tried = ("held", "expected")
    untried = [outcome.check for outcome in outcomes if outcome.is_core and outcome.verdict not in tried]
    return f"not tried: {', '.join(untried)}" if untried else ""


class DoesNotApply(Exception):  # noqa: N818  # a verdict
    """A part does not make the promise on this input, or it cannot be checked here.

    Args:
        reason: Why; shown beside the verdict.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refusal(DoesNotApply):
    """A part declared that it does not support what was asked."""


class NotHere(DoesNotApply):
    """This machine lacks what the check needs."""
