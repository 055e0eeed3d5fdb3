"""Finds out where the first number that is not finite came from, by going through the step once more."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

MicroBatch = Callable[[nn.Module], Float[Tensor, ""]]


def find_nan_source(model: nn.Module, passes: Sequence[MicroBatch]) -> tuple[int, str]:
    """Return which pass of a step was the first with a number that is not finite, and what produced it.

    Args:
        passes: Each computes the loss of one micro-batch with the model it is given, as the step did.
    """
    for number, loss_of in enumerate(passes):
        with NanTrace(model) as watch:
            loss = loss_of(model)
            origin = watch.forward or (
                "" if torch.isfinite(loss) else "the loss itself: every part gave finite numbers"
            )
            watch.remove_hooks()
            if not origin:
                model.zero_grad(set_to_none=True)
                loss.backward()
                origin = watch.backward()
        model.zero_grad(set_to_none=True)
        if origin:
            return number, origin
    return 0, "only when it was computed the first time: going through the step again gave finite numbers"


class NanTrace:
    """Looks at what each part of a model gives, and at the gradient that comes back to it.

    Args:
        forward: The first part that gave what is not finite, and why; or nothing.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model, self.forward = model, ""
        self.order: list[str] = []
        self.bad: set[int] = set()
        self.handles: list[Any] = []

    def __enter__(self) -> "NanTrace":
        """Begin to look."""
        for name, module in self.model.named_modules():
            title = f"{name or 'the model'} ({type(module).__name__})"
            self.handles.append(module.register_forward_hook(partial(self.check_output, title)))
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self.remove_hooks()

    def remove_hooks(self) -> None:
        """Look at no more forward passes, because a backward pass may compute activations again."""
        for handle in self.handles:
            handle.remove()

    def check_output(self, title: str, module: nn.Module, given: Any, result: Any) -> None:
        """Look at what a part gave, and ask to be told of its gradient."""
        if is_nonfinite(result) and not self.forward:
            own = [key for key, weight in module.named_parameters(recurse=False) if is_nonfinite(weight)]
            why = (
                f", whose {own[0]} is not finite"
                if own
                else ", which was given such"
                if is_nonfinite(given)
                else ""
            )
            self.forward = title + why
        if isinstance(result, Tensor) and result.requires_grad:
            result.register_hook(partial(self.check_gradient, len(self.order)))
        self.order.append(title)

    def check_gradient(self, place: int, gradient: Tensor) -> None:
        """Look at the gradient that came back to the part that was done as number `place`."""
        if is_nonfinite(gradient):
            self.bad.add(place)

    def backward(self) -> str:
        """Return where the first gradient that is not finite came from, or nothing."""
        if self.bad:
            # Gradients go from the end to the beginning: the part done next sent back what this one got.
            return f"the gradient through {[*self.order, 'the loss'][max(self.bad) + 1]}"
        return next(
            (f"the gradient of {name}" for name, weight in by_depth(self.model) if is_nonfinite(weight.grad)), ""
        )


def by_depth(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Return the parameters by name, the last first, because gradients come from the end."""
    return list(reversed(list(model.named_parameters())))


def is_nonfinite(value: Any) -> bool:
    """Return whether a tensor, or one in a tuple or list, holds a number that is not finite."""
    if isinstance(value, Tensor):
        # Detached: a block that is computed twice must keep the same for its gradient, looked at or not.
        return value.is_floating_point() and not bool(torch.isfinite(value.detach()).all())
    return any(map(is_nonfinite, value)) if isinstance(value, tuple | list) else False
