import time

import pytest
import torch

from gptkit.bench.clock import Rounds, TimedCall, calls_per_round, seconds_per_unit, time_interleaved

CPU = torch.device("cpu")


def test_calls_take_turns_once_each_is_warm() -> None:
    order: list[str] = []
    calls = [TimedCall(name, lambda name=name: order.append(name)) for name in "ab"]
    found = time_interleaved(calls, Rounds(repeats=3, at_least=0.0), CPU)
    assert "".join(order) == "ab" + "ababab"
    assert {name: len(seconds) for name, seconds in found.seconds.items()} == {"a": 3, "b": 3}


def test_a_turn_takes_as_many_calls_as_make_it_long_enough() -> None:
    nap = TimedCall("nap", lambda: time.sleep(0.002))
    assert 5 <= calls_per_round(nap, 0.02, CPU) <= 10
    assert calls_per_round(nap, 0.001, CPU) == 1


def test_what_was_called_before_needs_no_other_call_to_warm_up() -> None:
    calls: list[int] = []
    timed = TimedCall("slow", lambda: calls.append(1), earlier_seconds=5.0)
    assert (calls_per_round(timed, 1.0, CPU), calls) == (1, [])


def test_the_time_is_that_of_one_unit() -> None:
    nap = TimedCall("nap", lambda: time.sleep(0.01), units=10)
    assert 0.001 <= seconds_per_unit(nap, 2, CPU) < 0.009


def test_preparing_a_call_is_not_timed() -> None:
    given: list[int] = []

    def prepare() -> int:
        time.sleep(0.05)
        return 7

    timed = TimedCall("quick", given.append, prepare=prepare)
    assert seconds_per_unit(timed, 2, CPU) < 0.03
    assert given == [7, 7]


@pytest.mark.parametrize("repeats", [0, -1])
def test_no_repeats_are_refused(repeats: int) -> None:
    with pytest.raises(ValueError, match=rf"^repeats must be 1 or more, found {repeats}$"):
        Rounds(repeats=repeats)


@pytest.mark.cuda
def test_the_clock_waits_for_the_device() -> None:
    device = torch.device("cuda")
    a = torch.randn(4096, 4096, device=device)
    product = TimedCall("product", lambda: a @ a)
    seconds_per_unit(product, 1, device)
    # No GPU does 137 billion operations in 100 µs, and to ask for them takes a tenth of that.
    assert seconds_per_unit(product, 1, device) > 1e-4
