"""Attentions and blocks that mishandle some form of mask, some use of their cache, or a pass of one token."""

import torch
from torch import Tensor

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.interfaces import AttentionContext
from gptkit.nn import KVCache
from tests.testing.mutant import CaughtBy
from tests.testing.right_attentions import CachingAttention, GroupedAttention
from tests.testing.unusual_parts import UnusualAttention

StartPos = int | Tensor


class TakesTheMaskOfTheKeysHead(GroupedAttention):
    """Gives all query heads of a group the mask of the first."""

    def grouped_mask(self, seen: Tensor) -> Tensor:
        group = self.n_head // self.kv_heads
        return seen[:, ::group].repeat_interleave(group, dim=1) if seen.ndim == 4 and seen.shape[1] > 1 else seen


class SeesAllBesideAMemory(UnusualAttention):
    """With a cache and no mask it takes every key as earlier, also those of the same pass."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if ctx.cache is None or ctx.attn_mask is not None:
            return super().forward(x, ctx)
        shown = torch.ones(1, 1, dtype=torch.bool, device=x.device)
        return super().forward(x, AttentionContext(ctx.start_pos, ctx.position, ctx.cache, shown))


class SeesTheUpperLeftBesideAMemory(UnusualAttention):
    """With a cache and no mask it aligns the causal mask with the first key."""

    aligns_left = False

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        self.aligns_left = ctx.cache is not None and ctx.attn_mask is None
        return super().forward(x, ctx)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return super().mix(q, k, v, seen.tril() if self.aligns_left else seen)


class AppendingCache(KVCache):
    """Counts what it has stored and ignores the position that it is given."""

    stored = 0

    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        self.stored += k.shape[2]
        return super().update(k, v, self.stored - k.shape[2])


class AddingCache(KVCache):
    """Adds to what a slot holds, which is right as long as each is written once."""

    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        slots = torch.arange(k.shape[2], device=k.device) + start_pos
        self.keys.index_add_(2, slots, k.to(self.keys.dtype))
        self.values.index_add_(2, slots, v.to(self.values.dtype))
        return self.keys.to(k.dtype), self.values.to(v.dtype)


class AppendsToItsMemory(CachingAttention):
    """A position written twice moves all that follow."""

    cache_class = AppendingCache


class AddsToItsMemory(CachingAttention):
    """A position written twice holds the sum."""

    cache_class = AddingCache


class BlockForgetsItsMemoryWithGradients(PreNormBlock):
    """Uses no cache where gradients are on, as if that were training."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if torch.is_grad_enabled() and ctx.cache is not None and ctx.attn_mask is None:
            ctx = AttentionContext(ctx.start_pos, ctx.position)
        return super().forward(x, ctx)


CAUGHT_BY: CaughtBy = {
    TakesTheMaskOfTheKeysHead: "reads_the_mask_of_each_head",
    SeesAllBesideAMemory: "decodes_without_a_mask",
    SeesTheUpperLeftBesideAMemory: "decodes_without_a_mask",
    AppendsToItsMemory: "written_again_is_replaced",
    AddsToItsMemory: "written_again_is_replaced",
    BlockForgetsItsMemoryWithGradients: "decodes_without_a_mask",
}
