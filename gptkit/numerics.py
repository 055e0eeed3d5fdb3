"""Finds out where the first number that is not finite came from, by going through the step once more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Pass = Callable[[nn.Module], Float[Tensor, ""]]


def culprit(model: nn.Module, passes: list[Pass]) -> tuple[int, str]:
    """Return which pass of a step was the first with a number that is not finite, and what produced it.

    Args:
        passes: Each computes the loss of one micro-batch with the model it is given, as the step did.
    """
    for number, loss_of in enumerate(passes):
        found: list[str] = []
        with watching(model, found):
            loss = loss_of(model)
            if not found and not torch.isfinite(loss):
                found.append("the loss itself: every part of the model gave finite numbers")
            if not found:
                model.zero_grad(set_to_none=True)
                loss.backward()
                found += [f"the gradient of {name}" for name, weight in by_depth(model) if is_bad(weight.grad)]
        model.zero_grad(set_to_none=True)
        if found:
            return number, found[0]
    return 0, "only when it was computed the first time: going through the step again gave finite numbers"


@contextmanager
def watching(model: nn.Module, found: list[str]) -> Iterator[None]:
    """Note in `found` each part inside that gives, or passes back, what is not finite, the first one first."""

    def forward(name: str) -> Callable[..., None]:
        def look(module: nn.Module, given: Any, result: Any) -> None:
            if not is_bad(result):
                return
            own = [key for key, weight in module.named_parameters(recurse=False) if is_bad(weight)]
            why = f", whose {own[0]} is not finite" if own else ", which was given such" if is_bad(given) else ""
            found.append(f"{name} ({type(module).__name__}){why}")

        return look

    def backward(name: str) -> Callable[..., None]:
        def look(module: nn.Module, before: Any, behind: Any) -> None:
            if is_bad(before) and not is_bad(behind):
                found.append(f"the gradient through {name} ({type(module).__name__})")

        return look

    parts = [(name or "the model", module) for name, module in model.named_modules()]
    handles = [module.register_forward_hook(forward(name)) for name, module in parts]
    handles += [module.register_full_backward_hook(backward(name)) for name, module in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def by_depth(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Return the parameters by name, the last first, because gradients come from the end."""
    return list(reversed(list(model.named_parameters())))


def is_bad(value: Any) -> bool:
    """Return whether a tensor, or one in a tuple or list, holds a number that is not finite."""
    if isinstance(value, Tensor):
        return value.is_floating_point() and not bool(torch.isfinite(value).all())
    return any(map(is_bad, value)) if isinstance(value, tuple | list) else False
