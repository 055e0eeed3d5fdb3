"""Schedules that fail on long or short runs, or that depend on more than the step."""

import math
import random

import numpy as np

from gptkit.components.schedule.cosine import CosineSchedule
from tests.testing.mutant import CaughtBy


class DecaysByRecursion(CosineSchedule):
    """Multiplies the factor of the step before, and of the one before that."""

    def __call__(self, step: int) -> float:
        return 1.0 if step == 0 else 0.9999 * self(step - 1)


class DividesByTheStepsBetween(CosineSchedule):
    """Divides by one step less than there are, which in a run of one step is by none."""

    def __call__(self, step: int) -> float:
        return max(0.0, 1 - step / (self.total - 1)) if step < self.total else 0.0


class AddsItsProgressUp(CosineSchedule):
    """Adds up shares of the run, whose rounding takes it below 0 at the end of some runs."""

    def __call__(self, step: int) -> float:
        return 1 - sum(1 / self.total for _ in range(step))


class EndsBelowZero(CosineSchedule):
    """A whole wave, of which the last step is the sine of two pi, a little below 0."""

    def __call__(self, step: int) -> float:
        return abs(math.sin(math.pi * step / self.total)) if step < self.total else math.sin(2 * math.pi)


class LogarithmAtEveryThousandth(CosineSchedule):
    """Takes the logarithm of the step within a cycle of 1,000, which begins at 0."""

    def __call__(self, step: int) -> float:
        return super().__call__(step) if step < 1000 else 1 / (1 + math.log(step % 1000))


class GivesFloat32(CosineSchedule):
    """Gives numbers of NumPy, which are not Python's."""

    def __call__(self, step: int) -> float:
        return np.float32(super().__call__(step))  # type: ignore[return-value]


class NeverRises(CosineSchedule):
    """Gives the least of what it has given, so that it cannot go back to an earlier step."""

    least = 1.0

    def __call__(self, step: int) -> float:
        self.least = min(self.least, super().__call__(step))
        return self.least


class JittersByTheSeedOfOthers(CosineSchedule):
    """Draws a jitter when it is built, from Python's generator."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.jitter = 1 + random.random() / 10

    def __call__(self, step: int) -> float:
        return super().__call__(step) * self.jitter


class LearnsOnceInAThousand(CosineSchedule):
    """Is 0 at every step but each thousandth."""

    def __call__(self, step: int) -> float:
        return float(step % 1000 == 999)


CAUGHT_BY: CaughtBy = {
    DecaysByRecursion: "is_defined_throughout",
    DividesByTheStepsBetween: "is_defined_throughout",
    AddsItsProgressUp: "is_defined_throughout",
    EndsBelowZero: "is_defined_throughout",
    LogarithmAtEveryThousandth: "is_defined_throughout",
    GivesFloat32: "is_defined_throughout",
    NeverRises: "depends_on_the_step_alone",
    JittersByTheSeedOfOthers: "depends_on_the_step_alone",
    LearnsOnceInAThousand: "learns_something",
}
