"""Attentions whose cache, context or position is broken."""

from typing import ClassVar

import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import AttentionContext
from gptkit.nn import KVCache
from tests.testing.broken_attends import Mask
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import Heads, SpelledOutAttention

StartPos = int | Tensor


class StuckCache(KVCache):
    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        return super().update(k, v, 0 * start_pos)


class CacheOfOneRow(KVCache):
    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        return super().update(k[:1].expand_as(k), v[:1].expand_as(v), start_pos)


class UnwrittenCache(KVCache):
    def __init__(self, batch_size: int, n_head: int, length: int, head_width: int, *, like: Tensor) -> None:
        super().__init__(batch_size, n_head, length, head_width, like=like)
        self.keys, self.values = torch.empty_like(self.keys), torch.empty_like(self.keys)


class HalfCache(KVCache):
    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        return super().update(k.bfloat16().to(k), v.bfloat16().to(v), start_pos)


class WaitingCache(KVCache):
    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        return super().update(k, v, int(start_pos))


class SwappedCache(KVCache):
    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        keys, values = super().update(k, v, start_pos)
        return values, keys


class NeverAdvances(NaiveAttention):
    def new_cache(self, batch_size: int, length: int) -> KVCache:
        return StuckCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class RowsShareACache(NaiveAttention):
    def new_cache(self, batch_size: int, length: int) -> KVCache:
        return CacheOfOneRow(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class StartsFromUnwrittenCache(NaiveAttention):
    def new_cache(self, batch_size: int, length: int) -> KVCache:
        return UnwrittenCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class CachesInBfloat16(NaiveAttention):
    def new_cache(self, batch_size: int, length: int) -> KVCache:
        return HalfCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class AsksTheDeviceWhere(NaiveAttention):
    def new_cache(self, batch_size: int, length: int) -> KVCache:
        return WaitingCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class GivesValuesForKeys(NaiveAttention):
    def new_cache(self, batch_size: int, length: int) -> KVCache:
        return SwappedCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class SequencesShareACache(NaiveAttention):
    """One cache of each size, kept by the class."""

    caches: ClassVar[dict[tuple[object, ...], KVCache]] = {}

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        like = self.out.weight
        key = (batch_size, self.n_head, length, self.head_width, like.dtype, like.device)
        return self.caches.setdefault(key, super().new_cache(batch_size, length))


class KeepsItsCache(NaiveAttention):
    """One cache for all sequences, on the attention itself."""

    cache: KVCache | None = None

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        if self.cache is None:
            self.cache = super().new_cache(batch_size, length)
        return self.cache


class ForgetsEarlierPasses(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(
            x, AttentionContext(ctx.start_pos, ctx.position, None, None if ctx.cache else ctx.attn_mask)
        )


class IgnoresStartAndPosition(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, AttentionContext(0, None, ctx.cache, ctx.attn_mask))


class IgnoresThePosition(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, AttentionContext(ctx.start_pos, None, ctx.cache, ctx.attn_mask))


class RotatesFromZero(SpelledOutAttention):
    def rotated_and_cached(self, q: Tensor, k: Tensor, v: Tensor, ctx: AttentionContext) -> Heads:
        q, k = AttentionContext(0 * ctx.start_pos, ctx.position).rotate(q, k)
        return q, *ctx.update(k, v)


class RotatesLaterPassesTooFar(SpelledOutAttention):
    def rotated_and_cached(self, q: Tensor, k: Tensor, v: Tensor, ctx: AttentionContext) -> Heads:
        q, k = AttentionContext(ctx.start_pos + (0 if q.shape[2] > 1 else 1), ctx.position).rotate(q, k)
        return q, *ctx.update(k, v)


class RotatesValues(SpelledOutAttention):
    def rotated_and_cached(self, q: Tensor, k: Tensor, v: Tensor, ctx: AttentionContext) -> Heads:
        return super().rotated_and_cached(q, k, ctx.rotate(q, v)[1], ctx)


class RotatesKeysAlone(SpelledOutAttention):
    def rotated_and_cached(self, q: Tensor, k: Tensor, v: Tensor, ctx: AttentionContext) -> Heads:
        return q, *super().rotated_and_cached(q, k, v, ctx)[1:]


class RotatesAfterCaching(SpelledOutAttention):
    def rotated_and_cached(self, q: Tensor, k: Tensor, v: Tensor, ctx: AttentionContext) -> Heads:
        k, v = ctx.update(k, v)
        return *ctx.rotate(q, k), v


class SeesItselfAloneWithACache(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        if attn_mask is not None and attn_mask.ndim == 2 and q.shape[2] == 1:
            attn_mask = torch.arange(k.shape[2]) == attn_mask.sum(dim=-1, keepdim=True) - 1
        return super().attend(q, k, v, attn_mask)


class OnlyOneTokenWithACache(NaiveAttention):
    """Keeps only the last of several tokens that come in one pass behind earlier ones."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if (
            ctx.cache is not None
            and x.shape[1] > 1
            and not isinstance(ctx.start_pos, Tensor)
            and ctx.start_pos > 0
        ):
            return super().forward(x[:, -1:], ctx).expand_as(x)
        return super().forward(x, ctx)


CAUGHT_BY: CaughtBy = {
    NeverAdvances: "cache_changes_nothing cache_keeps_positions caches_are_apart",
    RowsShareACache: "cache_changes_nothing caches_are_apart",
    StartsFromUnwrittenCache: "cache_changes_nothing",
    CachesInBfloat16: "cache_changes_nothing",
    AsksTheDeviceWhere: "decoding_waits_for_nothing",
    GivesValuesForKeys: "cache_changes_nothing caches_are_apart",
    SequencesShareACache: "caches_are_apart",
    KeepsItsCache: "caches_are_apart",
    ForgetsEarlierPasses: "cache_changes_nothing",
    IgnoresStartAndPosition: "uses_its_context equals_reference_in_float64",
    IgnoresThePosition: "uses_its_context equals_reference_in_float64",
    RotatesFromZero: "uses_its_context cache_keeps_positions equals_reference_in_float64",
    RotatesLaterPassesTooFar: "cache_keeps_positions",
    RotatesValues: "equals_reference_in_float64",
    RotatesKeysAlone: "equals_reference_in_float64",
    RotatesAfterCaching: "cache_keeps_positions",
    SeesItselfAloneWithACache: "cache_changes_nothing",
    OnlyOneTokenWithACache: "equals_reference_in_float64",
}
