"""How long several ways to do one thing take, each timed in turn, so that a busy moment slows none alone."""

import time
from collections.abc import Callable, Mapping
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


def median_seconds(calls: Mapping[str, Callable[[], object]], clock: Clock, times: int = 1) -> dict[str, float]:
    """Return the median time of one call of each, by name: first A, then B, then A again.

    Args:
        calls: Each has been called before, so that nothing is done for the first time.
        times: How often each is called in its turn, where one call is too short for the clock.
    """
    durations: dict[str, list[float]] = {name: [] for name in calls}
    began = clock()
    for number in range(MOST_ROUNDS):
        if number >= LEAST_ROUNDS and clock() - began > SECONDS:
            break
        for name, call in calls.items():
            start = clock()
            for _ in range(times):
                call()
            durations[name].append((clock() - start) / times)
    return {name: median(each) for name, each in durations.items()}
