"""Broken blocks."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.interfaces import AttentionContext, BlockParts, Dims, LayerCache
from tests.testing.mutant import CaughtBy

StartPos = int | Tensor


class BlockWithoutContext(PreNormBlock):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x)


class BlockThatSeesAll(PreNormBlock):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(
            x, AttentionContext(ctx.start_pos, ctx.position, ctx.cache, ctx.attn_mask if ctx.cache else None)
        )


class BlockWithoutRotation(PreNormBlock):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, AttentionContext(ctx.start_pos, None, ctx.cache, ctx.attn_mask))


class BlockOfOneCache(PreNormBlock):
    """Keeps one cache on itself, for all sequences."""

    cache: LayerCache | None = None

    def new_cache(self, batch_size: int, length: int) -> LayerCache:
        self.cache = self.cache or super().new_cache(batch_size, length)
        return self.cache


class BlockThatWaits(PreNormBlock):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, AttentionContext(int(ctx.start_pos), ctx.position, ctx.cache, ctx.attn_mask))


class BlockWithoutAttention(PreNormBlock):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return x + self.feed_forward(self.norm_2(x))


class BlockWithoutFeedForward(PreNormBlock):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return x + self.norm_2(self.attention(self.norm_1(x), ctx))


class BlockThatReadsOn(PreNormBlock):
    """Mixes in the token that follows."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x + x.roll(-1, dims=1) / 8, ctx)


class BlockThatMixesRows(PreNormBlock):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x - x.mean(dim=0) / 8, ctx)


class BlockInPlace(PreNormBlock):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return x.add_(self.attention(self.norm_1(x.clone()), ctx)) + self.feed_forward(self.norm_2(x.clone()))


class BlockThatDropsInEval(PreNormBlock):
    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.rate = dims.dropout

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return F.dropout(super().forward(x, ctx), self.rate)


class BlockOfItsOwn(PreNormBlock):
    """Asks for nothing, and mixes positions by their running mean."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        nn.Module.__init__(self)
        self.mix, self.own = nn.Linear(dims.n_embd, dims.n_embd), nn.Linear(dims.n_embd, dims.n_embd)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        count = torch.arange(1, x.shape[1] + 1, device=x.device)[:, None]
        return x + self.own(torch.tanh(self.mix(x).cumsum(dim=1) / count))


class BlockWithAFeedForwardOfItsOwn(PreNormBlock):
    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, BlockParts(parts.attention, self.own, parts.norm))

    @staticmethod
    def own(dims: Dims) -> Any:
        return nn.Sequential(nn.Linear(dims.n_embd, dims.n_embd), nn.Tanh())


CAUGHT_BY: CaughtBy = {
    BlockWithoutContext: "uses_its_context honours_attn_mask cache_changes_nothing cache_keeps_positions",
    BlockThatSeesAll: "honours_attn_mask",
    BlockWithoutRotation: "uses_its_context",
    BlockOfOneCache: "caches_are_apart",
    BlockThatWaits: "decoding_waits_for_nothing",
    BlockWithoutAttention: "reads_the_past every_parameter_gets_a_gradient",
    BlockWithoutFeedForward: "every_parameter_gets_a_gradient",
    BlockThatReadsOn: "never_reads_the_future",
    BlockThatMixesRows: "rows_are_independent",
    BlockInPlace: "input_is_not_mutated",
    BlockOfItsOwn: "uses_the_parts_it_is_given",
    BlockWithAFeedForwardOfItsOwn: "uses_the_parts_it_is_given",
    BlockThatDropsInEval: "dropout_is_off_in_eval",
}
