"""Attention whose values are mixed with an embedding of the token, for layers that `[[model.layer]]` chooses."""

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

import gptkit
from gptkit.hookspecs import Register
from gptkit.interfaces import Attention, AttentionContext, Dims, HasLimits, HasPackedWeights
from gptkit.nn import Dropout, Embedding, KVCache, Linear, sdpa


class ValueEmbeddingAttention(Attention, HasLimits, HasPackedWeights):
    """Exact softmax attention over values that remember which token each of them comes from.

    The table has as many weights as the token embedding, and costs a lookup. A layer without one has another
    attention.

    Args:
        qkv_bias: Whether the projection to queries, keys and values has a bias.
        out_bias: Whether the output projection has a bias.

    Source:
        Jordan et al. 2024, https://github.com/KellerJordan/modded-nanogpt; after Zhou et al. 2024,
        arXiv:2410.17897, which adds the values of the first layer instead.
    """

    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims)
        self.dims, self.dropout = dims, dims.dropout
        self.qkv = Linear(dims.n_embd, 3 * dims.n_embd, bias=qkv_bias)
        self.out = Linear(dims.n_embd, dims.n_embd, bias=out_bias)
        self.table = Embedding(dims.vocab_size, dims.n_embd)
        # The shares of the values and of the embedding.
        self.shares = nn.Parameter(torch.full((2,), 0.5))
        self.resid_dropout = Dropout(dims.dropout)

    def refusal(self, ctx: AttentionContext) -> str | None:
        """Refuse a pass of vectors without tokens."""
        return None if ctx.tokens is not None else f"layer {ctx.layer} embeds tokens in its values, and got none"

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the attention output."""
        self.check_limits(ctx)
        q, k, v = rearrange(self.qkv(x), "B T (three H D) -> three B H T D", three=3, H=self.dims.n_head)
        embedded = rearrange(self.table(ctx.tokens), "B T (H D) -> B H T D", H=self.dims.n_head)
        v = self.shares[0].to(v.dtype) * v + self.shares[1].to(v.dtype) * embedded.to(v.dtype)
        q, k = ctx.rotate(q, k)
        # The cache holds mixed values, so a token is looked up once.
        k, v = ctx.update(k, v)
        y = sdpa(q, k, v, ctx.attn_mask, self.dropout if self.training else 0.0)  # (B, H, T, D)
        return self.resid_dropout(self.out(rearrange(y, "B H T D -> B T (H D)")))

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        """Return an empty key/value cache."""
        return KVCache(batch_size, self.dims.n_head, length, self.dims.head_width, like=self.out.weight)

    def packed_rows(self) -> Mapping[Tensor, Sequence[int]]:
        """Return the rows of the projections to queries, keys and values."""
        return {self.qkv.weight: 3 * (self.dims.n_embd,)}


@gptkit.hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `value_embeddings`."""
    register("value_embeddings", ValueEmbeddingAttention)
