"""Laws of every schedule."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from gptkit.interfaces import Schedule
from gptkit.testing.elsewhere import elsewhere
from gptkit.testing.input import Input

Make = Callable[[int], Schedule]
# In a run of at most this many steps, every step is checked.
EVERY = 300


@dataclass(frozen=True, kw_only=True)
class RunCase(Input):
    """The length of a run, and one of its steps.

    Args:
        total: Number of steps.
        share: The share of the run that lies before the step, from 0 to 1.
    """

    total: int = 10
    share: float = 0.5

    @property
    def step(self) -> int:
        """The step, counted from 0."""
        return min(int(self.share * self.total), self.total)

    def __str__(self) -> str:
        """Return the length and the step."""
        return f"total={self.total} step={self.step}"


def is_defined_throughout(make: Make, case: RunCase) -> None:
    """Assert that the factor of every step from 0 to the total is a finite number, and not negative."""
    schedule = make(case.total)
    for step in {*range(min(case.total, EVERY) + 1), case.step, case.total - 1, case.total}:
        factor = schedule(step)
        if not isinstance(factor, int | float) or not 0 <= factor < math.inf:
            raise AssertionError(f"the factor of step {step} is {factor!r} ({case})")


def depends_on_the_step_alone(make: Make, case: RunCase) -> None:
    """Assert that the factor depends only on the step, not on earlier calls or other schedules."""
    schedule, other = make(case.total), make(case.total)
    expected = schedule(case.step)
    for step in (0, case.total, case.step // 2):
        schedule(step)
    for found in (schedule(case.step), schedule(case.step), other(case.step)):
        if found != expected:
            raise AssertionError(f"the factor of step {case.step} is first {expected} and later {found} ({case})")


def depends_on_nothing_else(make: Make, case: RunCase) -> None:
    """Assert that the factor depends on no clock, process, environment or random state, and on no earlier step."""
    schedule = make(case.total)
    steps = {0, case.step // 2, case.step, case.total}
    expected = {step: schedule(step) for step in sorted(steps)}
    with elsewhere(schedule, number=case.total):
        for step in sorted(steps, reverse=True):
            for found in (make(case.total)(step), schedule(step)):
                if found != expected[step]:
                    raise AssertionError(
                        f"at another time, or without the steps before, the factor of step {step} is {found}, not "
                        f"{expected[step]} ({case})"
                    )


def learns_something(make: Make, case: RunCase) -> None:
    """Assert that at least one step of a run has a factor above 0."""
    schedule = make(case.total)
    if not any(schedule(step) > 0 for step in range(case.total)):
        raise AssertionError(f"the factor of every step is 0 ({case})")
