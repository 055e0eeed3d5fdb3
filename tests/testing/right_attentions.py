"""Right attentions without a reference, which are easy to break in one place."""

import math

import torch
from torch import Tensor, nn

from gptkit.interfaces import Attention, AttentionContext, Dims
from gptkit.nn import KVCache, Linear
from tests.testing.unusual_parts import UnusualAttention


class CachingAttention(UnusualAttention):
    """Takes the class of its cache from a field."""

    cache_class: type[KVCache] = KVCache

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        weight = self.out.weight
        return self.cache_class(batch_size, self.n_head, length, weight.shape[0] // self.n_head, like=weight)


class DroppingAttention(UnusualAttention):
    """Drops weights, and drops its output, each by a method."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.rate = dims.dropout

    def dropped(self, weights: Tensor) -> Tensor:
        return nn.functional.dropout(weights, self.rate, self.training)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~seen, -torch.inf)
        return self.dropped(scores.softmax(dim=-1)) @ v


class GroupedAttention(Attention):
    """One head of keys and values for every two of queries, or for all if their number is odd."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.n_head, self.width = dims.n_head, dims.head_width
        self.kv_heads = dims.n_head // 2 if dims.n_head % 2 == 0 else 1
        self.q = Linear(dims.n_embd, dims.n_embd, bias=False)
        self.kv = Linear(dims.n_embd, 2 * self.kv_heads * self.width, bias=False)
        self.out = Linear(dims.n_embd, dims.n_embd)
        self.resid_dropout = nn.Dropout(dims.dropout)

    def repeated(self, x: Tensor) -> Tensor:
        """Give each query head its head of keys."""
        return x.repeat_interleave(self.n_head // self.kv_heads, dim=1)

    def grouped_mask(self, seen: Tensor) -> Tensor:
        return seen

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        q = self.q(x).unflatten(-1, (self.n_head, -1)).transpose(1, 2)
        k, v = self.kv(x).unflatten(-1, (2, self.kv_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = ctx.rotate(q, k)
        k, v = (self.repeated(each) for each in ctx.update(k, v))
        T, S = q.shape[2], k.shape[2]
        seen = torch.ones(T, S, dtype=torch.bool, device=x.device).tril(S - T)
        seen = seen if ctx.attn_mask is None else self.grouped_mask(ctx.attn_mask)
        weights = (q @ k.mT / math.sqrt(self.width)).masked_fill(~seen, -torch.inf).softmax(dim=-1)
        return self.resid_dropout(self.out((weights @ v).transpose(1, 2).flatten(2)))

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        return KVCache(batch_size, self.kv_heads, length, self.width, like=self.out.weight)
