"""How hard a check is tried, what comes of it, and why it may not apply."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["held", "broken", "not applicable", "not run"]


@dataclass(frozen=True)
class Depth:
    """How hard a check tries.

    Args:
        inputs: How many inputs an ordinary check is tried on.
        seed: What they are drawn from.
        shrink: Whether the smallest input is looked for that shows what is broken.
    """

    inputs: int = 50
    seed: int = 0
    shrink: bool = True


ORDINARY, DEEP = Depth(), Depth(inputs=500)


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    Args:
        check: Its id.
        why: What is broken, on which input, and how to see it again; or why the check was not tried.
        inputs: How many inputs it was tried on.
        error: What the part or the check raised.
    """

    check: str
    promise: str
    verdict: Verdict
    why: str = ""
    inputs: int = 0
    seconds: float = 0.0
    error: BaseException | None = None


class DoesNotApply(Exception):  # noqa: N818  # a verdict
    """A part does not make the promise on this input, or there is nothing here to check it on.

    Args:
        reason: What a person is told in the place of a verdict.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refusal(DoesNotApply):
    """A part declared that it cannot do what was asked."""


class NotHere(DoesNotApply):
    """What the check needs, this machine does not have."""
