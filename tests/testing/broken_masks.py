"""Attentions and blocks that misread some form of `ctx.attn_mask`, or its absence beside a cache."""

import torch
from torch import Tensor

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.interfaces import AttentionContext
from tests.testing.mutant import CaughtBy
from tests.testing.right_attentions import GroupedAttention
from tests.testing.unusual_parts import UnusualAttention


class TakesTheMaskOfTheFirstRow(UnusualAttention):
    """Uses the mask of the first row and head for all."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return super().mix(q, k, v, seen if seen.ndim == 2 else seen[(0,) * (seen.ndim - 2)])


class TakesRowsForHeads(UnusualAttention):
    """Squeezes a mask of (B, 1, T, S), whose rows are then taken for heads where there are as many."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        if seen.ndim == 4 and seen.shape[1] == 1 and seen.shape[0] == q.shape[1]:
            seen = seen.squeeze(1)
        return super().mix(q, k, v, seen)


class TakesOneMaskForTheBatch(UnusualAttention):
    """Joins the masks of all rows: a key is hidden only where all rows hide it."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return super().mix(q, k, v, seen.any(dim=0, keepdim=True) if seen.ndim == 4 else seen)


class HidesByWeightsAlone(UnusualAttention):
    """Sets weights of hidden keys to 0 after the softmax, whose sum they were part of."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        if seen.ndim == 2:
            return super().mix(q, k, v, seen)
        return ((q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1) * seen) @ v


class ShowsAllToOneToken(UnusualAttention):
    """One query may see all that is stored, whatever the mask hides."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return super().mix(q, k, v, torch.ones_like(seen) if q.shape[2] == 1 and seen.ndim == 4 else seen)


class BlockTakesMasksOfTwoAxes(PreNormBlock):
    """Passes masks of two axes on, and no others."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        mask = ctx.attn_mask if ctx.attn_mask is None or ctx.attn_mask.ndim == 2 else None
        return super().forward(x, AttentionContext(ctx.start_pos, ctx.position, ctx.cache, mask))


class TakesTheMaskOfTheFirstHead(UnusualAttention):
    """Uses the mask of the first head for all."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return super().mix(q, k, v, seen[:, :1] if seen.ndim == 4 else seen)


class TakesTheMaskOfTheKeysHead(GroupedAttention):
    """Gives all query heads of a group the mask of the first."""

    def grouped_mask(self, seen: Tensor) -> Tensor:
        group = self.n_head // self.kv_heads
        return seen[:, ::group].repeat_interleave(group, dim=1) if seen.ndim == 4 and seen.shape[1] > 1 else seen


class SeesAllBesideACache(UnusualAttention):
    """With a cache and no mask it takes every key as earlier, also those of the same pass."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if ctx.cache is None or ctx.attn_mask is not None:
            return super().forward(x, ctx)
        shown = torch.ones(1, 1, dtype=torch.bool, device=x.device)
        return super().forward(x, AttentionContext(ctx.start_pos, ctx.position, ctx.cache, shown))


class SeesTheUpperLeftBesideACache(UnusualAttention):
    """With a cache and no mask it aligns the causal mask with the first key."""

    aligns_left = False

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        self.aligns_left = ctx.cache is not None and ctx.attn_mask is None
        return super().forward(x, ctx)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return super().mix(q, k, v, seen.tril() if self.aligns_left else seen)


class BlockForgetsItsCacheWithGradients(PreNormBlock):
    """Uses no cache where gradients are on, as if that were training."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if torch.is_grad_enabled() and ctx.cache is not None and ctx.attn_mask is None:
            ctx = AttentionContext(ctx.start_pos, ctx.position)
        return super().forward(x, ctx)


class HidesByTenThousand(UnusualAttention):
    """Subtracts 10,000 from the scores of what a given mask hides: too little where scores are millions."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        T, S = q.shape[2], k.shape[2]
        future = ~torch.ones(T, S, dtype=torch.bool, device=q.device).tril(S - T)
        scores = q @ k.mT / q.shape[-1] ** 0.5 - 1e4 * ~seen
        return scores.masked_fill(future, -torch.inf).softmax(dim=-1) @ v


CAUGHT_BY: CaughtBy = {
    TakesTheMaskOfTheKeysHead: "reads_the_mask_of_each_head",
    TakesTheMaskOfTheFirstRow: "reads_every_form_of_mask",
    TakesRowsForHeads: "reads_every_form_of_mask",
    TakesOneMaskForTheBatch: "reads_every_form_of_mask",
    HidesByWeightsAlone: "reads_every_form_of_mask",
    ShowsAllToOneToken: "reads_every_form_of_mask",
    BlockTakesMasksOfTwoAxes: "reads_every_form_of_mask",
    TakesTheMaskOfTheFirstHead: "reads_the_mask_of_each_head",
    SeesAllBesideACache: "decodes_without_a_mask",
    SeesTheUpperLeftBesideACache: "decodes_without_a_mask",
    BlockForgetsItsCacheWithGradients: "decodes_without_a_mask",
    HidesByTenThousand: "honours_attn_mask_when_scores_are_huge",
}
