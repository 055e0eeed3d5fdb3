"""The passes of one kernel or part: forward, backward alone, and both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

import torch
from torch import Tensor

from gptkit.bench.clock import Contestant
from gptkit.interfaces import Attention
from gptkit.nn import SoftmaxAttention
from gptkit.testing.case import Case

FORWARD, BACKWARD, BOTH = "forward", "backward", "forward and backward"
PASSES = (FORWARD, BACKWARD, BOTH)

# A GPU answers in microseconds and is asked several times in one go, each time for something that is no longer in
# its cache; the graphs of long contexts would not fit its memory together, and need no company.
CALLS_ON_CUDA, LONG_CALLS_ON_CUDA, LONG = 10, 2, 4096
BYTES_BEYOND_CACHE = 200 * 2**20


@dataclass(frozen=True)
class Given:
    """What a kernel is given, and the gradient that comes back to its output."""

    arguments: tuple[Tensor, ...]
    gradient: Tensor


def attend_inputs(case: Case) -> list[Given]:
    """Return queries, keys and values that learn; as many as do not fit the device's cache together."""
    return [
        Given(tuple(x.requires_grad_() for x in each.qkv()), each.draw("gradient", each.B, each.H, each.T, each.D))
        for each in cases_beyond_cache(case, tensors=4)
    ]


def whole_inputs(case: Case) -> list[Given]:
    """Return inputs of whole attentions, likewise."""
    return [
        Given((each.x().requires_grad_(),), each.draw("gradient", each.B, each.T, each.C))
        for each in cases_beyond_cache(case, tensors=2)
    ]


def cases_beyond_cache(case: Case, tensors: int) -> list[Case]:
    """Return as many inputs, each of so many tensors, as do not fit the device's cache together."""
    if case.device.type != "cuda":
        return [case]
    size = tensors * case.B * case.T * case.C * case.dtype.itemsize
    return [replace(case, seed=case.seed + i) for i in range(1 + BYTES_BEYOND_CACHE // size)]


def attend_passes(name: str, attention: SoftmaxAttention, inputs: Sequence[Given]) -> dict[str, Contestant]:
    """Return the passes of an attention's `attend`."""
    return passes_of(name, attention.attend, (), inputs)


def whole_passes(name: str, attention: Attention, inputs: Sequence[Given]) -> dict[str, Contestant]:
    """Return the passes of a whole attention, projections and all."""
    return passes_of(name, attention, tuple(attention.parameters()), inputs)


def passes_of(
    name: str, function: Callable[..., Tensor], weights: Sequence[Tensor], inputs: Sequence[Given]
) -> dict[str, Contestant]:
    """Return each pass of a function as something to time.

    Args:
        weights: What learns besides the arguments.
    """
    on_cuda, T = inputs[0].gradient.is_cuda, inputs[0].gradient.shape[-2]
    units = (LONG_CALLS_ON_CUDA if T >= LONG else CALLS_ON_CUDA) if on_cuda else 1
    turn = cycle(inputs)

    def forward() -> None:
        with torch.no_grad():
            for given in islice(turn, units):
                function(*given.arguments)

    def graphs() -> list[tuple[Given, Tensor]]:
        return [(given, function(*given.arguments)) for given in islice(turn, units)]

    # Each graph anew, because a kernel that was compiled may give its memory back in its backward pass.
    def backward(graphs: list[tuple[Given, Tensor]]) -> None:
        while graphs:
            given, y = graphs.pop()
            torch.autograd.grad(y, (*given.arguments, *weights), given.gradient)

    def both() -> None:
        for given in islice(turn, units):
            torch.autograd.grad(function(*given.arguments), (*given.arguments, *weights), given.gradient)

    return {
        FORWARD: Contestant(name, forward, units),
        BACKWARD: Contestant(name, backward, units, ready=graphs),
        BOTH: Contestant(name, both, units),
    }


def operations(case: Case, which: str) -> float:
    """Return the floating-point operations of a pass of `attend`: two products with the keys that each query sees.

    Source:
        Dao 2023, arXiv:2307.08691, section 4.1: a backward pass takes 2.5 times those of a forward pass.
    """
    forward = 4 * case.B * case.H * case.D * case.T * (case.T + 1) // 2
    return {FORWARD: 1.0, BACKWARD: 2.5, BOTH: 3.5}[which] * forward
