"""How hard a check is tried, and what comes of it."""

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
