"""Attention with linear biases (ALiBi), which tells positions by themselves: for `position = "none"`."""

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

import gptkit
from gptkit.hookspecs import Register
from gptkit.interfaces import Attention, AttentionContext, Dims, HasLimits, HasPackedWeights
from gptkit.nn import Dropout, KVCache, Linear


class AlibiAttention(Attention, HasLimits, HasPackedWeights):
    """Softmax attention whose scores fall with the distance to the key, in each head by a slope of its own.

    Args:
        qkv_bias: Whether the projection to queries, keys and values has a bias.
        out_bias: Whether the output projection has a bias.

    Source:
        Press et al. 2022, arXiv:2108.12409, section 3.
    """

    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims)
        self.dims, self.dropout = dims, dims.dropout
        self.qkv = Linear(dims.n_embd, 3 * dims.n_embd, bias=qkv_bias)
        self.out = Linear(dims.n_embd, dims.n_embd, bias=out_bias)
        self.resid_dropout = Dropout(dims.dropout)

    def refusal(self, ctx: AttentionContext) -> str | None:
        """Refuse a position that rotates queries and keys."""
        if not ctx.rotates:
            return None
        return (
            f"{type(ctx.position).__name__} rotates queries and keys, and ALiBi tells positions by its biases "
            "alone: choose position = 'none', or another attention, such as 'sdpa'"
        )

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the attention output."""
        self.check_limits(ctx)
        q, k, v = rearrange(self.qkv(x), "B T (three H D) -> three B H T D", three=3, H=self.dims.n_head)
        k, v = ctx.update(k, v)
        T, S, H = q.shape[2], k.shape[2], self.dims.n_head
        # A cache stores position j in slot j. Without one, the last key is that of the last query.
        start = S - T if ctx.cache is None else ctx.start_pos
        keys = torch.arange(S, device=x.device)
        distance = keys[:T, None] + start - keys  # (T, S)
        slopes = 2 ** (-8 * torch.arange(1, H + 1, device=x.device) / H)
        attn_mask = distance >= 0 if ctx.attn_mask is None else ctx.attn_mask
        bias = torch.where(attn_mask, -slopes[:, None, None] * distance, -torch.inf)  # (B or none, H, T, S)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype), dropout_p=dropout)
        return self.resid_dropout(self.out(rearrange(y, "B H T D -> B T (H D)")))

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        """Return an empty key/value cache."""
        return KVCache(batch_size, self.dims.n_head, length, self.dims.head_width, like=self.out.weight)

    def packed_rows(self) -> Mapping[Tensor, Sequence[int]]:
        """Return the rows of the projections to queries, keys and values."""
        return {self.qkv.weight: 3 * (self.dims.n_embd,)}


@gptkit.hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `alibi`."""
    register("alibi", AlibiAttention)
