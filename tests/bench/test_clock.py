import time

import pytest
import torch

from gptkit.bench.clock import Contestant, Rounds, calls_for, interleaved, seconds_of

CPU = torch.device("cpu")


def test_contestants_take_turns_once_each_is_warm() -> None:
    order: list[str] = []
    contestants = [Contestant(name, lambda name=name: order.append(name)) for name in "ab"]
    found = interleaved(contestants, Rounds(repeats=3, at_least=0.0), CPU)
    assert "".join(order) == "ab" + "ababab"
    assert {name: len(seconds) for name, seconds in found.items()} == {"a": 3, "b": 3}


def test_a_turn_takes_as_many_calls_as_make_it_long_enough() -> None:
    nap = Contestant("nap", lambda: time.sleep(0.002))
    assert 5 <= calls_for(nap, 0.02, CPU) <= 10
    assert calls_for(nap, 0.001, CPU) == 1


def test_what_was_called_before_needs_no_other_call_to_warm_up() -> None:
    calls: list[int] = []
    contestant = Contestant("slow", lambda: calls.append(1), took=5.0)
    assert (calls_for(contestant, 1.0, CPU), calls) == (1, [])


def test_the_time_is_that_of_one_unit() -> None:
    nap = Contestant("nap", lambda: time.sleep(0.01), units=10)
    assert 0.001 <= seconds_of(nap, 2, CPU) < 0.009


def test_what_gets_a_call_ready_is_off_the_clock() -> None:
    given: list[int] = []

    def ready() -> int:
        time.sleep(0.05)
        return 7

    contestant = Contestant("quick", given.append, ready=ready)
    assert seconds_of(contestant, 2, CPU) < 0.03
    assert given == [7, 7]


@pytest.mark.parametrize("repeats", [0, -1])
def test_no_repeats_are_refused(repeats: int) -> None:
    with pytest.raises(ValueError, match=rf"^repeats must be 1 or more, found {repeats}$"):
        Rounds(repeats=repeats)


@pytest.mark.cuda
def test_the_clock_waits_for_the_device() -> None:
    device = torch.device("cuda")
    a = torch.randn(4096, 4096, device=device)
    product = Contestant("product", lambda: a @ a)
    seconds_of(product, 1, device)
    # No GPU does 137 billion operations in 100 µs, and to ask for them takes a tenth of that.
    assert seconds_of(product, 1, device) > 1e-4
