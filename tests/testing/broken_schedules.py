"""Broken schedules."""

import math

import torch

from gptkit.components.schedule.cosine import CosineSchedule
from tests.testing.mutant import CaughtBy


class Negative(CosineSchedule):
    def after_warmup(self, progress: float) -> float:
        return math.cos(math.pi * progress)


class NotANumberAtTheEnd(CosineSchedule):
    def __call__(self, step: int) -> float:
        return math.nan if step == self.total else super().__call__(step)


class NotANumberAtTheLastStep(CosineSchedule):
    def __call__(self, step: int) -> float:
        return math.nan if step == self.total - 1 else super().__call__(step)


class UndefinedAtTotal(CosineSchedule):
    def __call__(self, step: int) -> float:
        return [super(UndefinedAtTotal, self).__call__(each) for each in range(min(self.total, step + 1))][step]


class InfiniteAtTheStart(CosineSchedule):
    def __call__(self, step: int) -> float:
        return 1 / step**0.5 if step else math.inf


class GivesATensor(CosineSchedule):
    def __call__(self, step: int) -> float:
        return torch.tensor(super().__call__(step))  # type: ignore[return-value]


class CountsItsCalls(CosineSchedule):
    calls = 0

    def __call__(self, step: int) -> float:
        self.calls += 1
        return super().__call__(min(self.calls, self.total))


class CountsCallsOfAll(CosineSchedule):
    """Decays with each schedule that is made."""

    made = 0

    def __init__(self, total: int) -> None:
        super().__init__(total)
        type(self).made += 1
        self.share = 1 / self.made

    def __call__(self, step: int) -> float:
        return self.share


class AlwaysZero(CosineSchedule):
    def __call__(self, step: int) -> float:
        return 0.0


class BeginsTooLate(CosineSchedule):
    """Learns only at the step after the last."""

    def __call__(self, step: int) -> float:
        return float(step // self.total)


CAUGHT_BY: CaughtBy = {
    Negative: "is_defined_throughout",
    NotANumberAtTheEnd: "is_defined_throughout",
    NotANumberAtTheLastStep: "is_defined_throughout",
    UndefinedAtTotal: "is_defined_throughout",
    InfiniteAtTheStart: "is_defined_throughout",
    GivesATensor: "is_defined_throughout",
    CountsItsCalls: "depends_on_the_step_alone",
    CountsCallsOfAll: "depends_on_the_step_alone",
    AlwaysZero: "learns_something",
    BeginsTooLate: "learns_something",
}
