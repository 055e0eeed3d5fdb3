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


class AddsTheCausalMask(UnusualAttention):
    """Shows whatever the mask or the causal rule shows."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        T, S = q.shape[2], k.shape[2]
        return super().mix(q, k, v, seen | torch.ones(T, S, dtype=torch.bool, device=q.device).tril(S - T))


class RepeatsKeysInTurnForOneToken(GroupedAttention):
    """Pairs query heads with other key heads while it decodes: h with h mod K instead of h // (H / K)."""

    decodes = False

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        self.decodes = x.shape[1] == 1
        return super().forward(x, ctx)

    def repeated(self, x: Tensor) -> Tensor:
        return x.repeat(1, self.n_head // self.kv_heads, 1, 1) if self.decodes else super().repeated(x)


class CountsWhatItHides(UnusualAttention):
    """Scores hidden keys as 0 and leaves them in the sum: what is hidden counts, if not what it holds."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        weights = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~seen, 0).softmax(dim=-1)
        return weights * seen @ v


class PrefillingCache(KVCache):
    """Writes several tokens from the first slot on, wherever they begin."""

    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        return super().update(k, v, start_pos if k.shape[2] == 1 else 0)


class CacheOfThirtyTwoBits(KVCache):
    """Returns keys and values in the dtype of the weights, which under autocast is not that of queries."""

    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        super().update(k, v, start_pos)
        return self.keys, self.values


class PrefillsFromZero(CachingAttention):
    """A second chunk is written over the first."""

    cache_class = PrefillingCache


class ProductsOfTwoDtypes(CachingAttention):
    """Multiplies weights of one dtype with values of another, with autocast switched off inside."""

    cache_class = CacheOfThirtyTwoBits

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        with torch.autocast(q.device.type, enabled=False):
            return super().mix(q, k, v, seen)


class BlockAttendsTwice(PreNormBlock):
    """Runs its attention a second time with the same cache, which writes over what the first pass stored."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        x = x + self.attention(self.norm_1(x), ctx)
        x = x + self.attention(self.norm_1(x), ctx)
        return x + self.feed_forward(self.norm_2(x))


CAUGHT_BY: CaughtBy = {
    AddsTheCausalMask: "honours_attn_mask",
    RepeatsKeysInTurnForOneToken: "cache_changes_nothing_when_large",
    CountsWhatItHides: "cache_changes_nothing",
    PrefillsFromZero: "cache_keeps_positions",
    ProductsOfTwoDtypes: "decodes_under_autocast",
    BlockAttendsTwice: "cache_changes_nothing",
}
