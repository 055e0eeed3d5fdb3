"""Schedules that fail on long or short runs, or that depend on more than the step."""

import math
import time
from typing import ClassVar

import numpy as np

from gptkit.components.schedule.cosine import CosineSchedule
from tests.testing.mutant import CaughtBy


class StepsOf16Bits(CosineSchedule):
    """Counts steps in 16 bits, which become negative at 32,768."""

    def __call__(self, step: int) -> float:
        return super().__call__(step) if step < 10_000 else float(np.array(step).astype(np.int16)) / self.total


class ProgressInFloat16(CosineSchedule):
    """Steps beyond 65,504 are infinite in half precision."""

    def __call__(self, step: int) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            progress = np.array(step).astype(np.float16) / np.array(self.total).astype(np.float16)
        return (1 + math.cos(math.pi * float(progress))) / 2 if math.isfinite(progress) else math.nan


class TableOfTenThousandSteps(CosineSchedule):
    """Reads its factors from a table of 10,001 steps."""

    def __call__(self, step: int) -> float:
        return [super().__call__(step)][max(0, step - 10_000)]


class HalvesByPowers(CosineSchedule):
    """Divides by a power of two, which is too large for a float after 1,024 halvings."""

    def __call__(self, step: int) -> float:
        return float(1 / 2.0 ** (step / 10))


class FactorsOfAll(CosineSchedule):
    """Keeps factors by step in the class, for runs of any length."""

    factors: ClassVar[dict[int, float]] = {}

    def __call__(self, step: int) -> float:
        return self.factors.setdefault(step, super().__call__(step))


class WarmsUpFromWhereItBegan(CosineSchedule):
    """Warms up from the first step that it is asked for, and so again when a run is resumed."""

    first: int | None = None

    def __call__(self, step: int) -> float:
        self.first = step if self.first is None else self.first
        return super().__call__(step) * min(1.0, (step - self.first + 1) / 10)


class DecaysByTheHour(CosineSchedule):
    """Falls with the hours since it was built."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.began = time.time()

    def __call__(self, step: int) -> float:
        return super().__call__(step) / (1 + (time.time() - self.began) // 3600)


CAUGHT_BY: CaughtBy = {
    StepsOf16Bits: "is_defined_throughout_when_long",
    ProgressInFloat16: "is_defined_throughout_when_long",
    TableOfTenThousandSteps: "is_defined_throughout_when_long",
    HalvesByPowers: "is_defined_throughout_when_long",
    FactorsOfAll: "schedule_is_the_same_in_another_process",
    WarmsUpFromWhereItBegan: "depends_on_nothing_else",
    DecaysByTheHour: "depends_on_nothing_else",
}
