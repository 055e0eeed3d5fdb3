"""Calls are timed in turn, often where they are short, and no round begins after the time is up."""

from collections.abc import Callable

import pytest
import torch

from gptkit.tuning.timing import LEAST_ROUNDS, MOST_ROUNDS, clock, median_seconds


class Calls:
    """Calls that move a clock, and the order in which they were made."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order = ""

    def clock(self) -> float:
        return self.now

    def taking(self, name: str, *durations: float) -> Callable[[], None]:
        def call() -> None:
            self.now += durations[min(self.order.count(name), len(durations) - 1)]
            self.order += name

        return call


def test_each_is_called_in_its_turn() -> None:
    calls = Calls()
    found = median_seconds({"a": calls.taking("a", 1.0), "b": calls.taking("b", 2.0)}, calls.clock)
    assert calls.order == "ab" * LEAST_ROUNDS
    assert found == {"a": 1.0, "b": 2.0}


def test_one_busy_moment_changes_nothing() -> None:
    calls = Calls()
    found = median_seconds({"a": calls.taking("a", 1.0, 90.0, 1.0), "b": calls.taking("b", 2.0)}, calls.clock)
    assert found == {"a": 1.0, "b": 2.0}


def test_what_is_short_is_timed_often() -> None:
    calls = Calls()
    median_seconds({"a": calls.taking("a", 0.001)}, calls.clock)
    assert len(calls.order) == MOST_ROUNDS


def test_several_calls_in_a_turn_are_told_as_one() -> None:
    calls = Calls()
    found = median_seconds({"a": calls.taking("a", 1.0), "b": calls.taking("b", 0.5)}, calls.clock, times=4)
    assert calls.order.startswith("aaaabbbb")
    assert found == {"a": 1.0, "b": 0.5}


def test_nothing_to_time_takes_no_time() -> None:
    assert median_seconds({}, Calls().clock) == {}


def test_the_clock_of_a_cpu_goes_forward() -> None:
    device = torch.device("cpu")
    assert clock(device) < clock(device)


@pytest.mark.cuda
def test_the_clock_of_a_gpu_waits_for_its_work() -> None:
    x = torch.ones(8192, 8192, device="cuda")
    began = clock(x.device)
    y = x @ x
    done = torch.cuda.Event()
    done.record()
    assert clock(x.device) > began
    assert done.query()
    assert y.shape == x.shape
