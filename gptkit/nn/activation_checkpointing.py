"""Activation checkpointing: recompute a block's activations in the backward pass instead of storing them."""

from collections.abc import Iterable
from types import MethodType

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gptkit.interfaces import AttentionContext, Block


def checkpoint_activations(blocks: Iterable[nn.Module], wanted: bool) -> None:
    """Switch activation checkpointing of each block on or off.

    A checkpointed block stores only its input for the backward pass. No number changes: the recomputation draws
    the same dropout. In eval mode and without gradients it has no effect.

    Source:
        Chen et al. 2016, arXiv:1604.06174, section 3.
    """
    for block in blocks:
        if wanted:
            # On the instance: parameter names and the class, which other models share, stay as they are.
            # A bound method rather than a closure, so that a deep copy of the block runs the copy.
            block.__dict__["forward"] = MethodType(checkpointed_forward, block)
        elif getattr(block.__dict__.get("forward"), "__func__", None) is checkpointed_forward:
            del block.__dict__["forward"]


def checkpointed_forward(
    block: Block, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
) -> Float[Tensor, "B T C"]:
    """Run a block's own forward, storing only its input if a backward pass may follow."""
    forward = type(block).forward
    if not (block.training and torch.is_grad_enabled()):
        return forward(block, x, ctx)
    return checkpoint(forward, block, x, ctx, use_reentrant=False)
