"""Collects the losses that parts report during a pass."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.interfaces import HasAuxiliaryLoss


def parts_with_losses(model: nn.Module) -> list[HasAuxiliaryLoss]:
    """Return the parts of a model that report losses."""
    return [part for part in model.modules() if isinstance(part, HasAuxiliaryLoss)]


@contextmanager
def collected_losses(
    model: nn.Module, *, is_checkpointed: bool = False
) -> Iterator[list[Float[Tensor, ""]] | None]:
    """Yield a list to which the parts of a model add what they report in this context; None if no part reports.

    Leave it before the backward pass, in which a checkpointed block runs again and would report again.

    Args:
        is_checkpointed: Whether the blocks of the model are checkpointed.
    """
    if not (parts := parts_with_losses(model)):
        yield None
        return
    outer = [part.reported for part in parts]
    losses: list[Float[Tensor, ""]] = []
    try:
        for part in parts:
            part.reported = losses
        with report_once() if is_checkpointed else nullcontext():
            yield losses
    finally:
        for part, before in zip(parts, outer, strict=True):
            part.reported = before


def report_once() -> AbstractContextManager[None]:
    """Let `torch.compile` take a checkpointed block that reports, and leave the report out of the recomputation.

    By default it refuses a block that changes anything outside itself, because eager mode would do so twice.
    """
    return torch._dynamo.config.patch(skip_fwd_side_effects_in_bwd_under_checkpoint=True)
