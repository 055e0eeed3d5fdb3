"""Turns: every contestant has one in every round, by a clock that waits for the device."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from gptkit.tuning.timing import clock, in_turns


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How often to measure, and how long.

    Args:
        repeats: Rounds; in each, every contestant has its turn.
        at_least: Seconds that one turn should take, so that the clock's own error is small beside it.
    """

    repeats: int = 5
    at_least: float = 0.2

    def __post_init__(self) -> None:
        """Raise ValueError where nothing would be measured."""
        if self.repeats < 1:
            raise ValueError(f"repeats must be 1 or more, found {self.repeats}")


@dataclass(frozen=True)
class Contestant:
    """What is timed.

    Args:
        call: Given what `ready` returned, or nothing where there is no `ready`.
        units: How many passes, steps or the like one call does.
        ready: Gets a call ready, off the clock.
        took: Seconds of a call that was made before, which needs no other to warm up.
    """

    name: str
    call: Callable[..., object]
    units: int = 1
    ready: Callable[[], Any] | None = None
    took: float | None = None


def interleaved(
    contestants: Sequence[Contestant], rounds: Rounds, device: torch.device
) -> dict[str, tuple[float, ...]]:
    """Return the seconds of one unit of each contestant in each round.

    They take turns, A B A B, so that what else the machine does befalls them all.
    """
    timers = {
        contestant.name: partial(seconds_of, contestant, calls_for(contestant, rounds.at_least, device), device)
        for contestant in contestants
    }
    return {name: tuple(found) for name, found in in_turns(timers, range(rounds.repeats)).items()}


def calls_for(contestant: Contestant, at_least: float, device: torch.device) -> int:
    """Return how many calls a turn takes, after those that warm up: compile, allocate, fill the caches."""
    took = contestant.units * seconds_of(contestant, 1, device) if contestant.took is None else contestant.took
    if took >= at_least:
        return 1
    calls = max(1, math.ceil(at_least / max(contestant.units * seconds_of(contestant, 1, device), 1e-9)))
    seconds_of(contestant, calls, device)
    return calls


def seconds_of(contestant: Contestant, calls: int, device: torch.device) -> float:
    """Return the seconds of one unit, the mean of some calls."""
    total = 0.0
    if contestant.ready is None:
        began = clock(device)
        for _ in range(calls):
            contestant.call()
        total = clock(device) - began
    else:
        for _ in range(calls):
            given = contestant.ready()
            began = clock(device)
            contestant.call(given)
            total += clock(device) - began
    return total / (calls * contestant.units)
