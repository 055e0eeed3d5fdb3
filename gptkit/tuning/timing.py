"""Times callables round-robin, so that background load hits all alike."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from statistics import median

import torch

Clock = Callable[[], float]

# The median of five hardly moves when two of them meet something else at work.
LEAST_ROUNDS, MOST_ROUNDS = 5, 100
# After which no further round begins. Short work so gets many rounds, long work few.
SECONDS = 4.0


def clock(device: torch.device) -> float:
    """Return the time in seconds once the device has done all that it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def clock_of(device: torch.device) -> Clock:
    """Return the clock of a device."""
    return partial(clock, device)


def in_turns(timers: Mapping[str, Callable[[], float]], rounds: Iterable[object]) -> dict[str, list[float]]:
    """Return the seconds that each timer measured in each round: first A, then B, then A again.

    Background load then hits all of them alike.

    Args:
        timers: Each does its work once and returns how many seconds that took.
    """
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for _ in rounds:
        for name, timer in timers.items():
            seconds[name].append(timer())
    return seconds


def seconds_per_call(call: Callable[[], object], clock: Clock, times: int) -> float:
    """Return the mean seconds of one of several calls in a row."""
    began = clock()
    for _ in range(times):
        call()
    return (clock() - began) / times


def median_seconds(calls: Mapping[str, Callable[[], object]], clock: Clock, times: int = 1) -> dict[str, float]:
    """Return the median seconds of one call of each, timed in turns.

    Args:
        calls: Each has been called before, so that nothing is done for the first time.
        times: Calls in one turn, where one is too short for the clock.
    """
    timers = {name: partial(seconds_per_call, call, clock, times) for name, call in calls.items()}
    return {name: median(found) for name, found in in_turns(timers, rounds_until(clock)).items()}


def rounds_until(clock: Clock) -> Iterator[int]:
    """Yield the numbers of rounds until enough time has passed for the work timed in them."""
    began = clock()
    for number in range(MOST_ROUNDS):
        if number >= LEAST_ROUNDS and clock() - began > SECONDS:
            return
        yield number
