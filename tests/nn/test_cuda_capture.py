"""What is captured keeps the rules of PyTorch's page on CUDA graphs, in the order in which it asks for them."""

from collections.abc import Iterator
from functools import partial

import pytest
import torch

from gptkit.errors import UsageError
from gptkit.nn.cuda_capture import WARM_UP_PASSES, capture, capture_stream, warm_up_passes
from tests.cuda_stand_in import replace_cuda


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    capture_stream.cache_clear()
    yield replace_cuda(monkeypatch)
    capture_stream.cache_clear()


def test_it_warms_up_on_a_side_stream_of_the_current_device_and_captures_there(calls: list[str]) -> None:
    def run() -> int:
        calls.append("run")
        return 7

    _, result = capture(run, partial(warm_up_passes, run))
    assert result == 7
    assert calls == [
        "side of 1 waits for main",
        "on side of 1",
        "run",
        "run",
        "waiting is an error",
        "run",
        "waiting is allowed",
        "back",
        "main waits for side of 1",
        "capture on side of 1",
        "run",
        "back",
    ]
    assert calls.count("run") == WARM_UP_PASSES + 1


def test_all_graphs_of_a_device_are_captured_on_one_stream(calls: list[str]) -> None:
    assert capture_stream(1) is capture_stream(1)
    assert capture_stream(1) is not capture_stream(0)


def test_no_cast_that_the_callers_autocast_keeps_is_captured(calls: list[str]) -> None:
    weight, x = torch.ones(2, 2, requires_grad=True), torch.ones(2, 2, dtype=torch.bfloat16)
    casts = []

    def run() -> None:
        # Where casts are kept, both products are of one and the same cast.
        casts.append((x @ weight).grad_fn)
        casts.append((x @ weight).grad_fn)

    def same_cast() -> bool:
        first, second = (node.next_functions[1][0] for node in casts[-2:] if node is not None)
        return first is second

    with torch.autocast("cpu", torch.bfloat16):
        run()
        assert same_cast()
        capture(run, lambda: None)
        assert not same_cast()
        run()
        assert same_cast()


def test_numbers_drawn_on_the_cpu_are_refused_because_a_replay_would_repeat_them(calls: list[str]) -> None:
    message = r"^a part draws random numbers on the CPU, .* without compiling: --set train\.compile=false$"
    with pytest.raises(UsageError, match=message):
        warm_up_passes(lambda: torch.rand(1))
    warm_up_passes(lambda: torch.rand(1, generator=torch.Generator().manual_seed(0)))


def test_after_an_error_waiting_for_the_device_is_allowed_again(calls: list[str]) -> None:
    passes = iter((1, 2))
    with pytest.raises(StopIteration):
        warm_up_passes(lambda: next(passes))
    assert calls == ["waiting is an error", "waiting is allowed"]
