"""Softmax attentions whose `attend` is broken only on some inputs, or modifies them."""

import math

import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.nn import causal_mask
from tests.testing.broken_attends import Mask, attended
from tests.testing.mutant import CaughtBy


class WritesOnQueries(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q.mul_(1.5), k, v, attn_mask)


class WritesOnTheMask(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        y = super().attend(q, k, v, attn_mask)
        if attn_mask is not None:
            attn_mask.zero_()
        return y


class SkipsTheSecondTile(NaiveAttention):
    """Hides keys 64 to 127 from later queries."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
        seen = attn_mask & (torch.arange(k.shape[2]) // 64 != 1)
        return super().attend(q, k, v, torch.where(seen.any(dim=-1, keepdim=True), seen, attn_mask))


class WeightsBelowOne(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return 0.999 * super().attend(q, k, v, attn_mask)


class OverflowsAtLargeScores(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
        weights = (q @ k.mT / math.sqrt(q.shape[3])).exp() * attn_mask
        return weights / weights.sum(dim=-1, keepdim=True) @ v


class HidesBySubtracting(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return attended(q, k, v, attn_mask, hidden=-100.0)


class ForgetsKeysBeyond128(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
        known = torch.arange(k.shape[2]) < 128
        return super().attend(q, k, v, attn_mask & known | ~(attn_mask & known).any(dim=-1, keepdim=True))


class ForgetsQueriesBeyond100(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v, attn_mask) * (torch.arange(q.shape[2]) < 100)[:, None]


class WrongAtOddWidths(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        even = q.shape[3] - q.shape[3] % 2
        kept = torch.arange(q.shape[3]) < even
        return super().attend(q * kept if even else q, k, v, attn_mask)


class MixesHeads(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v + 1e-6 * v.mean(dim=1, keepdim=True), attn_mask)


class ViewsHeadsAsTime(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        y = super().attend(q, k, v, attn_mask)
        return y.transpose(1, 2).reshape(y.shape)


class ReadsRawStrides(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        _, H, S, D = v.shape
        return super().attend(q, k, v.as_strided(v.shape, (H * S * D, S * D, D, 1)), attn_mask)


class ReadsUnwrittenMemory(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        accumulator = torch.empty_like(q)
        accumulator[:, :, 1:] = 0
        return super().attend(q, k, v, attn_mask) + 0 * accumulator


class WrongFromTheFourthRowOn(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v, attn_mask) * (torch.arange(q.shape[0]) < 3)[:, None, None, None]


CAUGHT_BY: CaughtBy = {
    WritesOnQueries: "attend_mutates_nothing",
    WritesOnTheMask: "broadcasts_attn_mask equals_reference_in_float64",
    SkipsTheSecondTile: "equals_reference_when_long_in_bfloat16",
    WeightsBelowOne: "constant_values_come_back",
    OverflowsAtLargeScores: "is_finite",
    HidesBySubtracting: "sees_up_to_itself",
    ForgetsKeysBeyond128: "equals_reference_when_long_in_float64",
    ForgetsQueriesBeyond100: "equals_reference_when_long_in_float32 equals_reference_when_long_in_float64",
    WrongAtOddWidths: "equals_reference_in_float64 attends_as_reference_in_float64",
    MixesHeads: "constant_values_come_back attends_as_reference_in_float64",
    ViewsHeadsAsTime: "never_reads_the_future constant_values_come_back",
    ReadsRawStrides: "constant_values_come_back rows_are_independent",
    ReadsUnwrittenMemory: "reads_only_what_was_written",
    WrongFromTheFourthRowOn: "dropout_keeps_the_mean",
}
