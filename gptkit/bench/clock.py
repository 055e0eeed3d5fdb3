"""Times calls round-robin, by a clock that waits for the device."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from gptkit.tuning.threads import Neighbours
from gptkit.tuning.timing import clock, in_turns, seconds_per_call


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How often and how long to measure.

    Args:
        repeats: Number of rounds; each times everything once.
        at_least: Seconds that one timing should take, so that the error of the clock is small beside it.
    """

    repeats: int = 5
    at_least: float = 0.2

    def __post_init__(self) -> None:
        """Raise ValueError if nothing would be measured."""
        if self.repeats < 1:
            raise ValueError(f"repeats must be 1 or more, found {self.repeats}")


@dataclass(frozen=True)
class TimedCall:
    """A call to time.

    Args:
        call: Takes what `prepare` returned, or nothing without `prepare`.
        units: Number of passes, steps or the like in one call.
        prepare: Prepares one call; not timed.
        earlier_seconds: Duration of a call that was already made, which then counts as the warm-up.
    """

    name: str
    call: Callable[..., object]
    units: int = 1
    prepare: Callable[[], Any] | None = None
    earlier_seconds: float | None = None


@dataclass(frozen=True)
class Timings:
    """What was measured in turns.

    Args:
        seconds: Of one unit in each round, by name.
        busy_cpus: Number of CPUs that other programs kept busy meanwhile, if it is known.
    """

    seconds: Mapping[str, tuple[float, ...]]
    busy_cpus: float | None = None


def time_interleaved(calls: Sequence[TimedCall], rounds: Rounds, device: torch.device) -> Timings:
    """Return the seconds of one unit of each call in each round.

    The order is A B A B, so that background load hits all alike.
    """
    timers = {
        timed.name: partial(seconds_per_unit, timed, calls_per_round(timed, rounds.at_least, device), device)
        for timed in calls
    }
    neighbours = Neighbours()
    found = in_turns(timers, range(rounds.repeats))
    return Timings({name: tuple(seconds) for name, seconds in found.items()}, neighbours.busy_cpus())


def calls_per_round(timed: TimedCall, at_least: float, device: torch.device) -> int:
    """Return the number of calls in one timing, after warming up: compiling, allocating, filling the caches."""
    first = timed.earlier_seconds
    if first is None:
        first = timed.units * seconds_per_unit(timed, 1, device)
    if first >= at_least:
        return 1
    calls = max(1, math.ceil(at_least / max(timed.units * seconds_per_unit(timed, 1, device), 1e-9)))
    seconds_per_unit(timed, calls, device)
    return calls


def seconds_per_unit(timed: TimedCall, calls: int, device: torch.device) -> float:
    """Return the seconds of one unit, the mean of several calls."""
    now = partial(clock, device)
    if timed.prepare is None:
        return seconds_per_call(timed.call, now, calls) / timed.units
    total = sum(seconds_per_call(partial(timed.call, timed.prepare()), now, 1) for _ in range(calls))
    return total / (calls * timed.units)
