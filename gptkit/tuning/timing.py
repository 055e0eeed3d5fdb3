"""Times callables round-robin, so that background load hits all alike."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from statistics import median

import torch

Clock = Callable[[], float]

# The median of five is robust against background load in two of them.
LEAST_ROUNDS, MOST_ROUNDS = 5, 100
# No round begins after this, so that short work gets many rounds and long work few.
SECONDS = 4.0


def clock(device: torch.device) -> float:
    """Synchronise with a device and return the time in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def in_turns(timers: Mapping[str, Callable[[], float]], rounds: Iterable[object]) -> dict[str, list[float]]:
    """Return the seconds that each timer measured in each round: first A, then B, then A again."""
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for _ in rounds:
        for name, timer in timers.items():
            seconds[name].append(timer())
    return seconds


def seconds_per_call(call: Callable[[], object], clock: Clock, times: int) -> float:
    """Return the mean seconds of several calls in a row."""
    began = clock()
    for _ in range(times):
        call()
    return (clock() - began) / times


def median_seconds(calls: Mapping[str, Callable[[], object]], clock: Clock, times: int = 1) -> dict[str, float]:
    """Return the median seconds of each call, timed round-robin.

    Args:
        calls: Each is warm: it has been called before.
        times: Calls in a row in each round, where one is too short for the clock.
    """
    timers = {name: partial(seconds_per_call, call, clock, times) for name, call in calls.items()}
    return {name: median(found) for name, found in in_turns(timers, rounds_until(clock)).items()}


def rounds_until(clock: Clock) -> Iterator[int]:
    """Yield the numbers of rounds until SECONDS have passed, but at least LEAST_ROUNDS."""
    began = clock()
    for number in range(MOST_ROUNDS):
        if number >= LEAST_ROUNDS and clock() - began > SECONDS:
            return
        yield number
