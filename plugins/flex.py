"""Attention by PyTorch's FlexAttention, which compiles a kernel for a given mask."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.attention.flex_attention import flex_attention

import gptkit
from gptkit.hookspecs import Register
from gptkit.interfaces import Dims
from gptkit.nn import SoftmaxAttention, causal_mask


class FlexAttention(SoftmaxAttention):
    """PyTorch's `flex_attention`, a fused kernel on a GPU with `compile = true`. Without dropout.

    Without `torch.compile`, PyTorch runs a version that stores every score and is slower than `sdpa`. On a CPU,
    PyTorch 2.13 has no backward pass for it, so this file supplies one; and the compiled kernel fails with a
    single query and with changing lengths, so the plain formula is compiled there.

    Raises:
        ValueError: If `dims.dropout` is not 0, because FlexAttention has no dropout.

    Source:
        Dong et al. 2024, arXiv:2412.05496.
    """

    def __init__(
        self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True, qk_norm: bool = False
    ) -> None:
        if dims.dropout:
            raise ValueError(
                f"dropout = {dims.dropout}, but FlexAttention cannot drop attention weights: "
                "set dropout = 0, or choose another attention, such as 'sdpa'"
            )
        super().__init__(dims, qkv_bias=qkv_bias, out_bias=out_bias, qk_norm=qk_norm)

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        attn_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Compute it by FlexAttention on a GPU, and by its equivalents elsewhere."""
        attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
        attn_mask = attn_mask.expand(*q.shape[:3], k.shape[2])  # (B, H, T, S)
        if q.is_cuda:
            return flex(q, k, v, attn_mask)
        # The meta device has shapes but no data, and FlexAttention does not support it.
        if torch.compiler.is_compiling() or q.is_meta:
            return plain(q, k, v, attn_mask)
        attend: Callable[..., Tensor] = FlexRecomputed.apply
        return attend(q, k, v, attn_mask)


class FlexRecomputed(torch.autograd.Function):
    """`flex` with the backward pass of `plain`: on a CPU PyTorch refuses inputs that require gradients."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor) -> Tensor:
        """Return the attention output."""
        ctx.save_for_backward(q, k, v, attn_mask)
        # Otherwise PyTorch traces it for each new shape, which takes a second and fuses nothing.
        with torch.compiler.set_stance("force_eager"):
            return flex(q.detach(), k.detach(), v.detach(), attn_mask)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of queries, keys and values."""
        *inputs, attn_mask = ctx.saved_tensors
        q, k, v = (x.detach().requires_grad_() for x in inputs)
        with torch.enable_grad():
            y = plain(q, k, v, attn_mask)
        return (*torch.autograd.grad(y, (q, k, v), gradient), None)


def plain(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor) -> Tensor:
    """Compute the same as `flex` by the formula."""
    scores = (q / math.sqrt(q.shape[3])) @ k.mT  # (B, H, T, S)
    return scores.masked_fill(~attn_mask, -math.inf).softmax(dim=-1) @ v  # (B, H, T, D)


def flex(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor) -> Tensor:
    """Call `flex_attention` with a score of -∞ where `attn_mask` is False."""

    def hide(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return torch.where(attn_mask[b, h, i, j], score, -math.inf)

    if torch.compiler.is_compiling():
        return flex_attention(q, k, v, score_mod=hide)
    with warnings.catch_warnings():
        # It warns that it should be compiled. The recipe's `compile` decides that.
        warnings.filterwarnings("ignore", "flex_attention called without torch.compile")
        return flex_attention(q, k, v, score_mod=hide)


@gptkit.hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `flex`."""
    register("flex", FlexAttention)
