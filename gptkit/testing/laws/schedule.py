"""Laws of every schedule."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from gptkit.interfaces import Schedule
from gptkit.testing.input import Input

Make = Callable[[int], Schedule]
# Of a run as short as this, every step is asked for.
EVERY = 300


@dataclass(frozen=True, kw_only=True)
class RunCase(Input):
    """A run of some steps, and one of them.

    Args:
        share: How far into the run the step stands, from 0 to 1.
    """

    total: int = 10
    share: float = 0.5

    @property
    def step(self) -> int:
        """The step, counted from 0."""
        return min(int(self.share * self.total), self.total)

    def __str__(self) -> str:
        """Return both."""
        return f"total={self.total} step={self.step}"


def is_defined_throughout(make: Make, case: RunCase) -> None:
    """Assert that every step from 0 to the last has a factor that is finite and not negative."""
    schedule = make(case.total)
    for step in {*range(min(case.total, EVERY) + 1), case.step, case.total - 1, case.total}:
        factor = schedule(step)
        if not isinstance(factor, int | float) or not 0 <= factor < math.inf:
            raise AssertionError(f"the factor of step {step} is {factor!r} ({case})")


def depends_on_the_step_alone(make: Make, case: RunCase) -> None:
    """Assert that the factor of a step is the same, whatever was asked before, and whoever is asked."""
    schedule, other = make(case.total), make(case.total)
    expected = schedule(case.step)
    for step in (0, case.total, case.step // 2):
        schedule(step)
    for found in (schedule(case.step), schedule(case.step), other(case.step)):
        if found != expected:
            raise AssertionError(f"the factor of step {case.step} is {expected} first and {found} then ({case})")


def learns_something(make: Make, case: RunCase) -> None:
    """Assert that some step of a run has a factor above zero."""
    schedule = make(case.total)
    if not any(schedule(step) > 0 for step in range(case.total)):
        raise AssertionError(f"the factor of every step is 0 ({case})")
