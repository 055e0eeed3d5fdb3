"""Attentions whose state is lost in some pass, or whose cache is not of the size that its type says."""

import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import AttentionContext, ConstantSizeCache, LayerCache
from gptkit.nn import KVCache
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import DecayingSum

StartPos = int | Tensor


class StartsLongPassesAfresh(DecayingSum):
    """Reads the state before one or two tokens only."""

    def sums(self, v: Tensor, ctx: AttentionContext) -> list[Tensor]:
        sums = super().sums(v, ctx)
        return sums if v.shape[1] <= 2 else super().sums(v, AttentionContext())


class GoesOnIntoTheNextText(DecayingSum):
    """Keeps its state from one packed text to the next."""

    def goes_on(self, segment_ids: Tensor, t: int) -> Tensor:
        return torch.ones_like(segment_ids[:, t], dtype=torch.bool)


class GoesOnInTheFirstTextAlone(DecayingSum):
    """Starts afresh wherever the text is not the first of its row."""

    def goes_on(self, segment_ids: Tensor, t: int) -> Tensor:
        return segment_ids[:, t] == segment_ids[:, 0]


class StartsAfreshBeforeSixtyFour(DecayingSum):
    """Reads no state before a pass as long as one tile."""

    def sums(self, v: Tensor, ctx: AttentionContext) -> list[Tensor]:
        sums = super().sums(v, ctx)
        return sums if v.shape[1] < 64 else super().sums(v, AttentionContext())


class TwoAtATime(KVCache):
    """Writes the first two tokens of a pass that comes behind earlier ones."""

    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        if k.shape[2] > 2 and start_pos > 0:
            super().update(k[:, :, :2], v[:, :, :2], start_pos)
            return self.keys, self.values
        return super().update(k, v, start_pos)


class CachesTwoAtATime(NaiveAttention):
    def new_cache(self, batch_size: int, length: int) -> KVCache:
        return TwoAtATime(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class IgnoresTheMask(DecayingSum):
    """Takes a mask that it cannot honour."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, AttentionContext(ctx.start_pos, ctx.position, ctx.cache))


class SilentCache(LayerCache):
    """A state that does not say that it is constant in size."""

    def __init__(self, state: Tensor) -> None:
        self.state = state


class DoesNotSayItsSize(DecayingSum):
    def new_cache(self, batch_size: int, length: int) -> ConstantSizeCache:
        silent: object = SilentCache(self.values.weight.new_zeros(batch_size, self.values.out_features))
        return silent  # type: ignore[return-value]


class KeepsAllStates(DecayingSum):
    """Its cache grows by each state that it had."""

    def sums(self, v: Tensor, ctx: AttentionContext) -> list[Tensor]:
        sums = super().sums(v, ctx)
        if ctx.cache is not None:
            ctx.cache.earlier = torch.stack((*getattr(ctx.cache, "earlier", ()), *sums))  # type: ignore[attr-defined]
        return sums


class RoomForEach(DecayingSum):
    """Its cache says that it is constant in size, and has room for each position."""

    def new_cache(self, batch_size: int, length: int) -> ConstantSizeCache:
        cache = super().new_cache(batch_size, length)
        cache.history = self.values.weight.new_zeros(batch_size, length)  # type: ignore[attr-defined]
        return cache


CAUGHT_BY: CaughtBy = {
    StartsLongPassesAfresh: "chunks_change_nothing",
    StartsAfreshBeforeSixtyFour: "chunks_change_nothing_when_large",
    CachesTwoAtATime: "chunks_change_nothing",
    GoesOnIntoTheNextText: "reads_packed_texts_apart",
    GoesOnInTheFirstTextAlone: "reads_packed_texts_apart",
    IgnoresTheMask: "honours_attn_mask",
    DoesNotSayItsSize: "constant_size_is_declared",
    KeepsAllStates: "constant_size_is_declared",
    RoomForEach: "constant_size_is_declared",
}
