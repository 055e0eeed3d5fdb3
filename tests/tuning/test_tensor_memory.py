"""Bytes are counted once for each memory, while it is there."""

import gc

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from gptkit.components.attention.fused import FusedAttention
from gptkit.components.attention.sdpa import SdpaAttention
from gptkit.nn import SoftmaxAttention
from gptkit.tuning.tensor_memory import MemoryTracker, kept_for_backward
from tests.small import small_dims


def test_what_is_kept_is_counted_once() -> None:
    weight, x = torch.ones(8, 8, requires_grad=True), torch.ones(4, 8, requires_grad=True)

    def forward() -> torch.Tensor:
        y = x @ weight  # keeps x and weight
        return y * y.view(4, 8)  # keeps y, twice

    assert kept_for_backward(forward) == 4 * (4 * 8 + 8 * 8 + 4 * 8)


def test_what_a_function_of_its_own_keeps_is_counted() -> None:
    class Keep(torch.autograd.Function):
        @staticmethod
        def forward(context: torch.autograd.function.FunctionCtx, x: torch.Tensor) -> torch.Tensor:
            context.save_for_backward(torch.ones(100))
            return x.clone()

        @staticmethod
        def backward(context: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> torch.Tensor:
            return gradient

    x = torch.ones(3, requires_grad=True)
    assert kept_for_backward(lambda: Keep.apply(x)) == 400  # type: ignore[no-untyped-call]


def attention_keeps(attention: type[SoftmaxAttention], T: int) -> int:
    part = attention(small_dims(block_size=T))
    with FakeTensorMode():
        q, k, v = (torch.empty(1, 2, T, 4, requires_grad=True) for _ in "qkv")
        return kept_for_backward(lambda: part.attend(q, k, v))


@pytest.mark.parametrize(("attention", "power"), [(FusedAttention, 2), (SdpaAttention, 1)])
def test_with_the_context_it_grows_as_the_attention_does(attention: type[SoftmaxAttention], power: int) -> None:
    # Far more than there is: shapes alone are gone through.
    growth = attention_keeps(attention, 2**20) / attention_keeps(attention, 2**19)
    assert growth == pytest.approx(2**power, rel=0.01)


def test_a_ledger_knows_what_is_alive_and_how_much_it_was_at_most() -> None:
    with MemoryTracker("cpu", small=1000) as tracker:
        kept = torch.ones(100)
        view = kept.view(10, 10)
        F.relu(torch.ones(1000)).sum().item()
        gc.collect()
        assert (tracker.alive, tracker.alive_small) == (400, 400)
        assert (tracker.peak, tracker.small_at_peak) == (8400, 400)
        tracker.begin()
        assert tracker.peak == 400
        del kept, view
        gc.collect()
        assert (tracker.alive, tracker.peak) == (0, 400)


def test_a_ledger_of_another_device_counts_nothing() -> None:
    with MemoryTracker("cuda") as tracker:
        torch.ones(100)
    assert tracker.peak == 0
