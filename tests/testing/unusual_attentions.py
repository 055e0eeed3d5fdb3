"""Right attentions that are unlike the built-in ones: windows, latents, relative biases, grouped keys."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.interfaces import Attention, AttentionContext, Dims
from gptkit.nn import InputCache, Linear
from tests.testing.right_attentions import DroppingAttention, GroupedAttention
from tests.testing.unusual_parts import UnusualAttention


class CosineAttention(UnusualAttention):
    """The cosine of query and key, times a learned scale of each head. Liu et al. 2021, "Swin Transformer V2"."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.log_scale = nn.Parameter(torch.full((dims.n_head, 1, 1), math.log(10)))

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        q, k = (x * (x.square().sum(dim=-1, keepdim=True) + 1e-6).rsqrt() for x in (q, k))
        scores = (self.log_scale.exp() * q @ k.mT).masked_fill(~seen, -torch.inf)
        return scores.softmax(dim=-1) @ v


class CappedAttention(UnusualAttention):
    """Scores are squashed to at most 30, as in Gemma 2."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        scores = 30 * torch.tanh(q @ k.mT / math.sqrt(q.shape[-1]) / 30)
        return scores.masked_fill(~seen, -torch.inf).softmax(dim=-1) @ v


class TalkingHeadsAttention(UnusualAttention):
    """Heads mix their scores before the softmax. Shazeer et al. 2020."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.talk = nn.Parameter(torch.eye(dims.n_head) + 0.1 * torch.randn(dims.n_head, dims.n_head))

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        scores = torch.einsum("hg,bgts->bhts", self.talk, q @ k.mT / math.sqrt(q.shape[-1]))
        return scores.masked_fill(~seen, -torch.inf).softmax(dim=-1) @ v


class ReluAttention(UnusualAttention):
    """Positive scores, divided by the number of keys that a query sees. Wortsman et al. 2023."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        weights = F.relu(q @ k.mT / math.sqrt(q.shape[-1])) * seen
        return weights / seen.sum(dim=-1, keepdim=True) @ v


class PersistentKeysAttention(UnusualAttention):
    """Two learned keys and values of each head, which all queries see. Sukhbaatar et al. 2019."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.keys = nn.Parameter(torch.randn(dims.n_head, 2, dims.head_width) / math.sqrt(dims.head_width))
        self.values = nn.Parameter(torch.randn(dims.n_head, 2, dims.head_width) / 2)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        B, H, T, D = q.shape
        k = torch.cat((self.keys.to(k.dtype).expand(B, H, 2, D), k), dim=2)
        v = torch.cat((self.values.to(v.dtype).expand(B, H, 2, D), v), dim=2)
        seen = seen.expand(B, H, T, k.shape[2] - 2)
        seen = torch.cat((seen.new_ones(B, H, T, 2), seen), dim=-1)
        scores = (q @ k.mT / math.sqrt(D)).masked_fill(~seen, -torch.inf)
        return scores.softmax(dim=-1) @ v


class DistanceAttention(UnusualAttention):
    """Knows the distance of each pair; subclasses use it."""

    start: int | Tensor = 0

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        # Without a cache, the first key stands where the first query does.
        self.start = 0 if ctx.cache is None else ctx.start_pos
        return super().forward(x, ctx)

    def distance(self, q: Tensor, k: Tensor) -> Tensor:
        queries = torch.arange(q.shape[2], device=q.device) + self.start
        return queries[:, None] - torch.arange(k.shape[2], device=k.device)  # (T, S)


class BucketedAttention(DistanceAttention):
    """A learned bias of each head for each of eight ranges of distance, as in T5. Raffel et al. 2019."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.bias = nn.Parameter(torch.randn(dims.n_head, 8))

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        bucket = torch.log2(self.distance(q, k).clamp(min=0) + 1.0).long().clamp(max=7)
        scores = q @ k.mT / math.sqrt(q.shape[-1]) + self.bias[:, bucket].to(q.dtype)
        return scores.masked_fill(~seen, -torch.inf).softmax(dim=-1) @ v


class WindowAttention(DistanceAttention):
    """A query sees keys of the last four positions, its own included. Beltagy et al. 2020."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        near = seen & (self.distance(q, k) < 4)
        # A query that sees no key nearby sees those that the mask shows.
        near = torch.where(near.any(dim=-1, keepdim=True), near, seen)
        return super().mix(q, k, v, near)


class LatentAttention(Attention):
    """Caches one narrow vector for each position and computes keys and values from it. DeepSeek-AI 2024."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.n_head, self.rank = dims.n_head, max(1, dims.n_embd // 2)
        self.q = Linear(dims.n_embd, dims.n_embd, bias=False)
        self.narrow = Linear(dims.n_embd, self.rank, bias=False)
        self.widen = Linear(self.rank, 2 * dims.n_embd, bias=False)
        self.out = Linear(dims.n_embd, dims.n_embd)
        self.resid_dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if ctx.rotates:
            raise NotImplementedError("keys have no place to be rotated: choose a position that rotates nothing")
        latent = self.narrow(x)
        if isinstance(ctx.cache, InputCache):
            latent = ctx.cache.update(latent, ctx.start_pos)
        k, v = self.widen(latent).unflatten(-1, (2, self.n_head, -1)).permute(2, 0, 3, 1, 4)
        q = self.q(x).unflatten(-1, (self.n_head, -1)).transpose(1, 2)
        T, S = q.shape[2], k.shape[2]
        seen = torch.ones(T, S, dtype=torch.bool, device=x.device).tril(S - T)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(~(seen if ctx.attn_mask is None else ctx.attn_mask), -torch.inf)
        return self.resid_dropout(self.out((scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)))

    def new_cache(self, batch_size: int, length: int) -> InputCache:
        return InputCache(batch_size, length, self.rank, like=self.out.weight)


UNUSUAL = (
    CosineAttention,
    CappedAttention,
    TalkingHeadsAttention,
    ReluAttention,
    PersistentKeysAttention,
    BucketedAttention,
    WindowAttention,
    LatentAttention,
    DroppingAttention,
    GroupedAttention,
)
