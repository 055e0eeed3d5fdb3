"""Grouped-query attention: several query heads share one key/value head."""

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F

import gptkit
from gptkit.hookspecs import Register
from gptkit.interfaces import Attention, AttentionContext, Dims, HasPackedWeights, HasReference
from gptkit.nn import Dropout, KVCache, Linear, RepeatedKeys, causal_mask


class GroupedQueryAttention(Attention, HasPackedWeights, HasReference):
    """Exact causal softmax attention with fewer key/value heads than query heads, and so a smaller cache.

    Args:
        kv_heads: Number of key/value heads. `n_head` is ordinary attention; 1 is multi-query attention.
        qkv_bias: Whether the projection to queries, keys and values has a bias.
        out_bias: Whether the output projection has a bias.

    Raises:
        ValueError: If `kv_heads` does not divide `n_head`.

    Source:
        Ainslie et al. 2023, arXiv:2305.13245, section 2.2; Shazeer 2019, arXiv:1911.02150 (one head).
    """

    def __init__(
        self, dims: Dims, *, kv_heads: PositiveInt = 1, qkv_bias: bool = False, out_bias: bool = True
    ) -> None:
        super().__init__(dims)
        if dims.n_head % kv_heads:
            divisors = [str(n) for n in range(1, dims.n_head + 1) if dims.n_head % n == 0]
            raise ValueError(
                f"kv_heads = {kv_heads} does not divide n_head = {dims.n_head}: take one of {', '.join(divisors)}"
            )
        self.dims, self.kv_heads, self.dropout = dims, kv_heads, dims.dropout
        self.qkv = Linear(dims.n_embd, (dims.n_head + 2 * kv_heads) * dims.head_width, bias=qkv_bias)
        self.out = Linear(dims.n_embd, dims.n_embd, bias=out_bias)
        self.resid_dropout = Dropout(dims.dropout)

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the attention output."""
        heads = rearrange(self.qkv(x), "B T (heads D) -> B heads T D", D=self.dims.head_width)
        q, k, v = heads.split((self.dims.n_head, self.kv_heads, self.kv_heads), dim=1)
        q, k = ctx.rotate(q, k)
        k, v = ctx.update(k, v)
        # `is_causal` aligns top-left: right only where T = S.
        square = ctx.attn_mask is None and ctx.cache is None
        attn_mask = (
            None if square else torch.atleast_2d(causal_mask(q, k) if ctx.attn_mask is None else ctx.attn_mask)
        )
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=attn_mask, dropout_p=dropout, is_causal=square, enable_gqa=True
        )  # (B, H, T, D)
        return self.resid_dropout(self.out(rearrange(y, "B H T D -> B T (H D)")))

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        """Return an empty key/value cache of `kv_heads` heads."""
        return KVCache(batch_size, self.kv_heads, length, self.dims.head_width, like=self.out.weight)

    def packed_rows(self) -> Mapping[Tensor, Sequence[int]]:
        """Return the rows of the projections to queries, keys and values."""
        heads = (self.dims.n_head, self.kv_heads, self.kv_heads)
        return {self.qkv.weight: [each * self.dims.head_width for each in heads]}

    def reference(self) -> RepeatedKeys:
        """Build ordinary attention that repeats each key and value for the query heads that share it."""
        biases = {"qkv_bias": self.qkv.bias is not None, "out_bias": self.out.bias is not None}
        return RepeatedKeys(self.dims, kv_heads=self.kv_heads, **biases)


@gptkit.hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `grouped_query`."""
    register("grouped_query", GroupedQueryAttention)
