"""The passes of an attention that are timed: forward, backward alone, and both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

import torch
from torch import Tensor

from gptkit.bench.clock import TimedCall
from gptkit.interfaces import Attention
from gptkit.nn import SoftmaxAttention
from gptkit.testing.case import Case

FORWARD, BACKWARD, BOTH = "forward", "backward", "forward and backward"
PASSES = (FORWARD, BACKWARD, BOTH)

# A GPU takes microseconds, so one call makes several passes, each on inputs that have left the GPU's cache. Long
# contexts get fewer: their graphs together would not fit in memory, and one pass is long enough for the clock.
CALLS_ON_CUDA, LONG_CALLS_ON_CUDA, LONG = 10, 2, 4096
BYTES_BEYOND_CACHE = 200 * 2**20


@dataclass(frozen=True)
class PassInputs:
    """Arguments of a forward pass, and the gradient of its output for the backward pass."""

    arguments: tuple[Tensor, ...]
    gradient: Tensor


def attend_inputs(case: Case) -> list[PassInputs]:
    """Return queries, keys and values that need gradients, in enough copies to overflow the GPU's cache."""
    return [
        PassInputs(
            tuple(x.requires_grad_() for x in each.qkv()), each.draw("gradient", each.B, each.H, each.T, each.D)
        )
        for each in cases_beyond_cache(case, tensors=4)
    ]


def whole_inputs(case: Case) -> list[PassInputs]:
    """Return inputs of whole attentions, in enough copies to overflow the GPU's cache."""
    return [
        PassInputs((each.x().requires_grad_(),), each.draw("gradient", each.B, each.T, each.C))
        for each in cases_beyond_cache(case, tensors=2)
    ]


def cases_beyond_cache(case: Case, tensors: int) -> list[Case]:
    """Return enough cases, each with so many tensors, to overflow the GPU's cache; on other devices one."""
    if case.device.type != "cuda":
        return [case]
    size = tensors * case.B * case.T * case.C * case.dtype.itemsize
    return [replace(case, seed=case.seed + i) for i in range(1 + BYTES_BEYOND_CACHE // size)]


def attend_passes(name: str, attention: SoftmaxAttention, inputs: Sequence[PassInputs]) -> dict[str, TimedCall]:
    """Return the passes of an attention's `attend`."""
    return passes_of(name, attention.attend, (), inputs)


def whole_passes(name: str, attention: Attention, inputs: Sequence[PassInputs]) -> dict[str, TimedCall]:
    """Return the passes of a whole attention, projections included."""
    return passes_of(name, attention, tuple(attention.parameters()), inputs)


def passes_of(
    name: str, function: Callable[..., Tensor], weights: Sequence[Tensor], inputs: Sequence[PassInputs]
) -> dict[str, TimedCall]:
    """Return each pass of a function as a call to time.

    Args:
        weights: Tensors that need gradients besides the arguments.
    """
    on_cuda, T = inputs[0].gradient.is_cuda, inputs[0].gradient.shape[-2]
    units = (LONG_CALLS_ON_CUDA if T >= LONG else CALLS_ON_CUDA) if on_cuda else 1
    endless = cycle(inputs)

    def forward() -> None:
        with torch.no_grad():
            for each in islice(endless, units):
                function(*each.arguments)

    def build_graphs() -> list[tuple[PassInputs, Tensor]]:
        return [(each, function(*each.arguments)) for each in islice(endless, units)]

    # Each graph is used once, because a compiled kernel may free its memory in its backward pass.
    def backward(graphs: list[tuple[PassInputs, Tensor]]) -> None:
        while graphs:
            each, y = graphs.pop()
            torch.autograd.grad(y, (*each.arguments, *weights), each.gradient)

    def both() -> None:
        for each in islice(endless, units):
            torch.autograd.grad(function(*each.arguments), (*each.arguments, *weights), each.gradient)

    return {
        FORWARD: TimedCall(name, forward, units),
        BACKWARD: TimedCall(name, backward, units, prepare=build_graphs),
        BOTH: TimedCall(name, both, units),
    }


def operations(case: Case, which: str) -> float:
    """Return the floating-point operations of a pass of `attend`: two products with each key that a query sees.

    Source:
        Dao 2023, arXiv:2307.08691, section 4.1: a backward pass takes 2.5 times those of a forward pass.
    """
    forward = 4 * case.B * case.H * case.D * case.T * (case.T + 1) // 2
    return {FORWARD: 1.0, BACKWARD: 2.5, BOTH: 3.5}[which] * forward
