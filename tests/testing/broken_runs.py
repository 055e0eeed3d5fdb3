"""Schedules that fail after 10,000 steps, or depend on more than the step."""

import os
import time
from typing import ClassVar

import numpy as np

from gptkit.components.schedule.cosine import CosineSchedule
from tests.testing.mutant import CaughtBy


class TableOfTenThousand(CosineSchedule):
    table: ClassVar[list[float]] = [1 / (1 + step) for step in range(10_001)]

    def __call__(self, step: int) -> float:
        return self.table[step]


class CountsIn16Bits(CosineSchedule):
    def __call__(self, step: int) -> float:
        return float(np.array(step).astype(np.int16)) / self.total


class ProgressInHalfPrecision(CosineSchedule):
    """Steps and totals from 65,520 on are infinite."""

    def __call__(self, step: int) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.array(step).astype(np.float16) / np.array(self.total).astype(np.float16))


class PowersOfTwo(CosineSchedule):
    """Too large for a float from 1,024 halvings on."""

    def __call__(self, step: int) -> float:
        return 1 / 2.0 ** (step // 20)


class FallsByTheHour(CosineSchedule):
    def __call__(self, step: int) -> float:
        return super().__call__(step) / (1 + time.time() // 3600 % 24)


class ReadsItsFloor(CosineSchedule):
    def after_warmup(self, progress: float) -> float:
        return max(super().after_warmup(progress), float(os.environ.get("FLOOR", "0")))


class WarmsUpFromItsFirstStep(CosineSchedule):
    """Again when a run is resumed."""

    first: int | None = None

    def __call__(self, step: int) -> float:
        self.first = step if self.first is None else self.first
        return super().__call__(step) * min(1.0, (1 + abs(step - self.first)) / 10)


CAUGHT_BY: CaughtBy = {
    TableOfTenThousand: "is_defined_throughout_when_long",
    CountsIn16Bits: "is_defined_throughout_when_long",
    ProgressInHalfPrecision: "is_defined_throughout_when_long",
    PowersOfTwo: "is_defined_throughout_when_long",
    FallsByTheHour: "depends_on_nothing_else",
    ReadsItsFloor: "depends_on_nothing_else",
    WarmsUpFromItsFirstStep: "depends_on_nothing_else",
}
