"""The arithmetic of `--time`: reads a duration, adds up what a run costs, and counts the steps that fit."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from math import isfinite

from gptkit.errors import UsageError
from gptkit.recipe.train_settings import TrainSettings

NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
DURATION = re.compile(rf"(?:{NUMBER}h)?(?:{NUMBER}m)?(?:{NUMBER}s)?")
# More steps than any run takes, and few enough for `range`.
MOST_STEPS = 10**12


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as `90s`, `3m` or `1h30m`.

    Raises:
        UsageError: If it has another form or is not above 0. A number without a unit is refused: 3 may be minutes.
    """
    found = DURATION.fullmatch(text)
    hours, minutes, seconds = (float(part or 0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
    total = 3600 * hours + 60 * minutes + seconds
    if not 0 < total or not isfinite(total):
        raise UsageError(f"--time {text}: expected a duration with its units, such as 90s, 3m or 1h30m")
    return total


@dataclass(frozen=True)
class Budget:
    """The time that a run may take.

    Args:
        seconds: From start to end.
        began: When it started, as `time.perf_counter` counts.
    """

    seconds: float
    began: float

    def left(self, now: float) -> float:
        """Return the seconds left; below 0 the time is up."""
        return self.began + self.seconds - now


@dataclass(frozen=True)
class Costs:
    """Seconds that each kind of work takes on this machine.

    Args:
        snapshot: The part of a save that training waits for.
        ending: What follows the last evaluation and sample: the last save, waited for, and the loss curves.
    """

    step: float
    evaluation: float
    sample: float
    snapshot: float
    ending: float

    @property
    def recurring(self) -> tuple[float, float, float]:
        """Seconds of an evaluation, a sample and a snapshot, in the order of `intervals`."""
        return self.evaluation, self.sample, self.snapshot

    def overhead(self, settings: TrainSettings, taken: int, last: int) -> float:
        """Return the seconds that evaluations, samples and saves take from step `taken` to step `last`.

        Args:
            taken: Number of steps taken; what is due after the latest is still to come. At 0 nothing is.
        """
        times = [times_due(interval, taken, last) for interval in intervals(settings)]
        return sum(count * cost for count, cost in zip(times, self.recurring, strict=True)) + self.ending

    def remaining(self, settings: TrainSettings, taken: int, last: int) -> float:
        """Return the seconds from step `taken` to the end of a run of `last` steps."""
        return self.step * (last - taken) + self.overhead(settings, taken, last)


def intervals(settings: TrainSettings) -> tuple[int, int, int]:
    """Return the steps between evaluations, samples and snapshots; 0 is only at the end."""
    return settings.eval_interval, settings.sample_interval, settings.checkpoint_interval


def times_due(interval: int, taken: int, last: int) -> int:
    """Return how often something is due from step `taken` to step `last`, both included."""
    return (last - 1) // interval - max(taken - 1, 0) // interval + 1 if interval else 1


def steps_that_fit(costs: Costs, settings: TrainSettings, taken: int, seconds: float) -> int:
    """Return the largest total number of steps that fits in `seconds`, or `taken` - 1 if not even ending does."""
    most = taken + int(min(max(seconds, 0.0) / costs.step, MOST_STEPS)) + 1
    lasts = range(taken, most + 1)
    return taken - 1 + bisect_right(lasts, seconds, key=lambda last: costs.remaining(settings, taken, last))
