"""A budget of wall-clock time: how it is written, what a run's work costs, and how many steps of it fit."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from math import isfinite

from gptkit.errors import UsageError
from gptkit.recipe.train_settings import TrainSettings

NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
DURATION = re.compile(rf"(?:{NUMBER}h)?(?:{NUMBER}m)?(?:{NUMBER}s)?")
# More than anybody takes, and as many as a range can count.
MOST_STEPS = 10**12
# What is looked at or kept between steps, each with the interval that says how often.
INTERVALS = {"evaluation": "eval_interval", "sample": "sample_interval", "snapshot": "checkpoint_interval"}


def seconds_of(text: str) -> float:
    """Return a duration such as `90s`, `3m` or `1h30m` in seconds.

    Raises:
        UsageError: If it is not written so, or is no time at all. A bare number is refused: 3 may be minutes.
    """
    found = DURATION.fullmatch(text)
    hours, minutes, seconds = (float(part or 0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
    total = 3600 * hours + 60 * minutes + seconds
    if not 0 < total or not isfinite(total):
        raise UsageError(f"--time {text}: expected a duration with its units, such as 90s, 3m or 1h30m")
    return total


@dataclass(frozen=True)
class Budget:
    """How long a run may take in all.

    Args:
        seconds: From its beginning to its end.
        began: When it began, by the clock of `time.perf_counter`.
    """

    seconds: float
    began: float

    def left(self, now: float) -> float:
        """Return how many seconds are left; below 0 it is over."""
        return self.began + self.seconds - now


@dataclass(frozen=True)
class Costs:
    """What the work of a run takes on the machine it runs on, each in seconds.

    Args:
        snapshot: The part of a save that training waits for.
        ending: What follows the last evaluation and sample: the last save, waited for, and the picture.
    """

    step: float
    evaluation: float
    sample: float
    snapshot: float
    ending: float

    def looks(self, settings: TrainSettings, taken: int, last: int) -> float:
        """Return what all evaluations, samples and saves take that are due from one step to the last one.

        Args:
            taken: Number of steps taken; what is due after the latest is still to come. At 0 nothing is.
        """
        times = {name: due(getattr(settings, key), taken, last) for name, key in INTERVALS.items()}
        return sum(times[name] * getattr(self, name) for name in INTERVALS) + self.ending

    def ahead(self, settings: TrainSettings, taken: int, last: int) -> float:
        """Return what is still to come takes, as `looks` counts it, the steps included."""
        return self.step * (last - taken) + self.looks(settings, taken, last)


def due(interval: int, taken: int, last: int) -> int:
    """Return how often something is due from one step on, that one and the last one included."""
    return (last - 1) // interval - max(taken - 1, 0) // interval + 1 if interval else 1


def fitting(costs: Costs, settings: TrainSettings, taken: int, seconds: float) -> int:
    """Return at which step a run should end to fill a time; the one before `taken` if it is too short to end."""
    most = taken + int(min(max(seconds, 0.0) / costs.step, MOST_STEPS)) + 1
    lasts = range(taken, most + 1)
    return taken - 1 + bisect_right(lasts, seconds, key=lambda last: costs.ahead(settings, taken, last))
