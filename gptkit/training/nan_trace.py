"""Finds where the first non-finite number of a step came from, by computing the step again with hooks."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.training.micro_batches import MicroBatch, MicroBatches

LossesOf = Callable[[nn.Module, MicroBatch], Float[Tensor, " L"]]


def explain_nonfinite(
    micro_batches: MicroBatches, step: int, loss: float, norm: float, losses_of: LossesOf
) -> str:
    """Return the message about a step that was not applied: its batch, and where it stopped being finite.

    Args:
        step: Counted from 0.
    """
    batches = list(micro_batches.of(step))
    number, origin = find_nan_source(micro_batches.model, batches, losses_of)
    starts = micro_batches.starts(step, number)
    shown = ", ".join(map(str, starts[:8])) + (" …" if len(starts) > 8 else "")
    return (
        f"step {step + 1}: the loss is {loss:g} and the gradient's norm {norm:g}, so the step was not "
        f"applied. Batch: pass {number + 1} of {len(batches)}, whose rows begin at the tokens {shown} "
        "of the training text. "
        f"Not finite first: {origin}"
    )


def find_nan_source(model: nn.Module, batches: Sequence[MicroBatch], losses_of: LossesOf) -> tuple[int, str]:
    """Return the number of the first micro-batch with a non-finite number, and what produced it."""
    for number, batch in enumerate(batches):
        with batch.seeded():
            with NanTrace(model) as trace:
                loss = losses_of(model, batch).sum()
            origin = trace.forward
            if not origin and not torch.isfinite(loss):
                origin = "the loss itself: every part gave finite numbers"
            if not origin:
                model.zero_grad(set_to_none=True)
                loss.backward()
                origin = trace.backward()
        model.zero_grad(set_to_none=True)
        if origin:
            return number, origin
    return 0, "only when it was computed the first time: going through the step again gave finite numbers"


class NanTrace:
    """Checks the output of each part that a model computes in this context, and later its gradient.

    Leave the context before backward, in which recomputation would fire the hooks again.

    Args:
        forward: The first part whose output was not finite, and why; empty if all were.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model, self.forward = model, ""
        self.order: list[str] = []
        self.nonfinite_gradients: set[int] = set()
        self.handles: list[Any] = []

    def __enter__(self) -> "NanTrace":
        """Add a hook to each part."""
        for name, module in self.model.named_modules():
            title = f"{name or 'the model'} ({type(module).__name__})"
            self.handles.append(module.register_forward_hook(partial(self.check_output, title)))
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the hooks."""
        for handle in self.handles:
            handle.remove()

    def check_output(self, title: str, module: nn.Module, inputs: Any, output: Any) -> None:
        """Check what a part returned, and add a hook to its gradient."""
        if is_nonfinite(output) and not self.forward:
            own = [key for key, weight in module.named_parameters(recurse=False) if is_nonfinite(weight)]
            given = ", which was given such" if is_nonfinite(inputs) else ""
            self.forward = title + (f", whose {own[0]} is not finite" if own else given)
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(partial(self.check_gradient, len(self.order)))
        self.order.append(title)

    def check_gradient(self, call: int, gradient: Tensor) -> None:
        """Check the gradient of the output of a call, counted from 0 over all parts."""
        if is_nonfinite(gradient):
            self.nonfinite_gradients.add(call)

    def backward(self) -> str:
        """Return where the first non-finite gradient came from; empty if there is none."""
        if self.nonfinite_gradients:
            # Gradients flow backward: this one was computed by the part that was called next.
            return f"the gradient through {[*self.order, 'the loss'][max(self.nonfinite_gradients) + 1]}"
        # From the last part to the first, as gradients flow.
        weights = reversed(list(self.model.named_parameters()))
        return next((f"the gradient of {name}" for name, weight in weights if is_nonfinite(weight.grad)), "")


def is_nonfinite(value: Any) -> bool:
    """Return whether a tensor, or one in a tuple or list, holds a non-finite number."""
    if isinstance(value, Tensor):
        # Detached, so that a checkpointed block saves the same tensors whether it is checked or not.
        return value.is_floating_point() and not bool(torch.isfinite(value.detach()).all())
    return any(map(is_nonfinite, value)) if isinstance(value, tuple | list) else False
