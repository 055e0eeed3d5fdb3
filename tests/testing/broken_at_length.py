"""Parts that are right for few tokens, few heads and ordinary numbers, and wrong beyond."""

import math

import torch
from torch import Tensor

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.position.learned import LearnedPosition
from gptkit.interfaces import AttentionContext, LayerCache
from gptkit.nn import KVCache
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import MeanAttention, SpelledOutAttention

StartPos = int | Tensor


class LastTileSeesAll(MeanAttention):
    """After the last whole tile of 64 queries, the rest sees every key."""

    def weigh(self, k: Tensor, T: int, attn_mask: Tensor | None) -> Tensor:
        if attn_mask is None and T > 64:
            S = k.shape[2]
            attn_mask = torch.ones(T, S, dtype=torch.bool, device=k.device).tril(S - T)
            attn_mask[T // 64 * 64 :] = True
        return super().weigh(k, T, attn_mask)


class EighthHeadSeesAll(SpelledOutAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        y = super().attend(q, k, v, attn_mask)
        if q.shape[1] < 8 or attn_mask is not None:
            return y
        seen = torch.ones(1, 1, dtype=torch.bool, device=q.device)
        return torch.cat((y[:, :7], super().attend(q[:, 7:], k[:, 7:], v[:, 7:], seen)), dim=1)


class BlockThatReadsOnAtLength(PreNormBlock):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        y = super().forward(x, ctx)
        return y if x.shape[1] <= 64 else torch.cat((y[:, :64], y[:, 64:] + x[:, -1:]), dim=1)


class MasksWithTenThousand(SpelledOutAttention):
    """Subtracts 10,000 from the scores of what must not be seen."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        T, S = q.shape[2], k.shape[2]
        seen = torch.ones(T, S, dtype=torch.bool, device=q.device).tril(S - T) if attn_mask is None else attn_mask
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        return self.attn_dropout((scores - 1e4 * ~seen).softmax(dim=-1)) @ v


class BlockOfTenThousand(PreNormBlock):
    """Lets a number beyond 10,000 through to all positions."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, ctx) + (x.amax(dim=1, keepdim=True) - 1e3).clamp(min=0)


class ChunksMixAtTheirEnd(GeluFeedForward):
    """Computes 64 positions at a time, and what is left over as one."""

    def forward(self, x: Tensor) -> Tensor:
        whole = x.shape[1] // 64 * 64
        rest = x[:, whole:]
        if not whole or not rest.shape[1]:
            return super().forward(x)
        return super().forward(torch.cat((x[:, :whole], rest - rest.mean(dim=1, keepdim=True) / 8), dim=1))


class NormOfAHundred(LayerNorm):
    """Normalises over time too where that is long."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.shape[1] < 100 else x - x.mean(dim=1, keepdim=True))


class MixesRowsAtLength(LearnedPosition):
    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        y = super().embed(x, start_pos)
        return y if x.shape[1] <= 64 else y + x.mean(dim=0)


class ShrinksWithItsLongest(SpelledOutAttention):
    """Scales by the longest input that it saw, beyond 64."""

    longest = 64

    def project(self, y: Tensor) -> Tensor:
        self.longest = max(self.longest, y.shape[1])
        return super().project(y) * 64 / self.longest


class SixtyFourSlots(KVCache):
    """Writes what comes after 64 positions over the last one."""

    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        if k.shape[2] == 1 and self.keys.shape[2] > 64:
            start_pos = torch.as_tensor(start_pos, device=k.device).clamp(max=64)
        return super().update(k, v, start_pos)


class ForgetsAfterSixtyFour(MeanAttention):
    def new_cache(self, batch_size: int, length: int) -> LayerCache:
        weight = self.values.weight
        return SixtyFourSlots(batch_size, self.n_head, length, weight.shape[0] // self.n_head, like=weight)


class CacheOfOneDtype(KVCache):
    """Takes keys of its own dtype only."""

    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        slots = torch.arange(k.shape[2], device=k.device) + start_pos
        self.keys.index_copy_(2, slots, k)
        self.values.index_copy_(2, slots, v)
        return self.keys, self.values


class DecodesInOneDtype(MeanAttention):
    def new_cache(self, batch_size: int, length: int) -> LayerCache:
        weight = self.values.weight
        return CacheOfOneDtype(batch_size, self.n_head, length, weight.shape[0] // self.n_head, like=weight)


class DriftsWithLongInputs(LearnedPosition):
    """Adds a little more after each long input."""

    offset = 0.0

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        if x.shape[1] > 64:
            self.offset += 1e-3
        return super().embed(x, start_pos) + self.offset


CAUGHT_BY: CaughtBy = {
    LastTileSeesAll: "never_reads_the_future_when_large",
    EighthHeadSeesAll: "never_reads_the_future_when_large",
    BlockThatReadsOnAtLength: "never_reads_the_future_when_large",
    MasksWithTenThousand: "never_reads_the_future_when_scores_are_huge",
    BlockOfTenThousand: "never_reads_the_future_when_scores_are_huge",
    ChunksMixAtTheirEnd: "positions_are_independent_when_large",
    NormOfAHundred: "positions_are_independent_when_large",
    MixesRowsAtLength: "rows_are_independent_when_large",
    ShrinksWithItsLongest: "forgets_earlier_passes_when_large",
    ForgetsAfterSixtyFour: "cache_changes_nothing_when_large",
    DecodesInOneDtype: "decodes_under_autocast",
    DriftsWithLongInputs: "forgets_earlier_passes_when_large",
}
