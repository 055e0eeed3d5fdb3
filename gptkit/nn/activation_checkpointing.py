"""Activations computed twice instead of kept: time for memory."""

from collections.abc import Iterable
from types import MethodType

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gptkit.interfaces import AttentionContext, Block


def checkpoint_activations(blocks: Iterable[nn.Module], wanted: bool) -> None:
    """Let each block keep its input alone for the backward pass and compute the rest again there, or keep all.

    It changes no number: dropout draws the same again. In eval mode and without gradients nothing is different.

    Source:
        Chen et al. 2016, arXiv:1604.06174, section 3.
    """
    for block in blocks:
        if wanted:
            # In the instance, so that neither the names of weights nor the class that others may share change.
            # Bound, and no closure, so that a copy of the block calls the copy.
            block.__dict__["forward"] = MethodType(recomputed, block)
        elif is_recomputed(block):
            del block.__dict__["forward"]


def is_recomputed(block: nn.Module) -> bool:
    """Return whether a block computes its activations again in the backward pass."""
    return getattr(block.__dict__.get("forward"), "__func__", None) is recomputed


def recomputed(
    block: Block, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
) -> Float[Tensor, "B T C"]:
    """Return what a block returns, keeping only its input where there will be a backward pass."""
    forward = type(block).forward
    if not (block.training and torch.is_grad_enabled()):
        return forward(block, x, ctx)
    return checkpoint(forward, block, x, ctx, use_reentrant=False)
