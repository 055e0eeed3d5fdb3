"""Parts whose numbers fail where they are huge, where a row is long, or in half precision."""

import math

import torch
from torch import Tensor

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.interfaces import AttentionContext
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import BareNorm, SpelledOutAttention
from tests.testing.unusual_parts import SigmoidAttention, UnusualAttention


class HidesBehindTenThousand(UnusualAttention):
    """Subtracts 10,000 from the scores of hidden keys."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return (q @ k.mT / math.sqrt(q.shape[-1]) - 1e4 * ~seen).softmax(dim=-1) @ v


class HidesBehindTheLeastOfFloat16(UnusualAttention):
    """Scores hidden keys at -65,504 in every dtype."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~seen, -65504.0).softmax(dim=-1) @ v


class ExponentiatesAsItIs(UnusualAttention):
    """Does not subtract the largest score before it exponentiates."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        weights = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~seen, -torch.inf).exp()
        return weights / weights.sum(dim=-1, keepdim=True) @ v


class SubtractsTheLargestOfTheFuture(UnusualAttention):
    """Subtracts the largest score of all keys, so that nothing is left where that is a hidden one."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        weights = (scores - scores.detach().amax(dim=-1, keepdim=True)).exp() * seen
        return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-30) @ v


class HidesBehindTwenty(SigmoidAttention):
    """Scores hidden keys at -20, which weighs little and not nothing."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return torch.sigmoid(torch.where(seen, q @ k.mT / math.sqrt(q.shape[-1]) - 2, -20.0)) @ v


class RoundsLongRows(SpelledOutAttention):
    """Rounds its output to bfloat16 where there are over 128 keys."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        y = super().attend(q, k, v, attn_mask)
        return y if k.shape[2] <= 128 else y.bfloat16().to(y.dtype)


class UnbiasedVariance(BareNorm):
    """Divides by one channel less than there are, which for one channel is by none."""

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        return centred * (x.var(dim=-1, keepdim=True) + self.norm.eps).rsqrt() * self.norm.weight + self.norm.bias


class RootOfADifference(BareNorm):
    """Takes the root of a variance without an epsilon, whose gradient is infinite where all channels are equal."""

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        deviation = centred.square().mean(dim=-1, keepdim=True).sqrt()
        return centred / (deviation + 1e-5) * self.norm.weight + self.norm.bias


class LogOfAnExponential(GeluFeedForward):
    """A softplus whose exponential is infinite from 11 on in float16, and from 88 on in float32."""

    def activate(self, x: Tensor) -> Tensor:
        return torch.log1p(x.exp())


class TanhByExponentials(GeluFeedForward):
    """Divides one exponential by another, both of which become infinite."""

    def activate(self, x: Tensor) -> Tensor:
        return (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())


class BlockLetsTenThousandThrough(PreNormBlock):
    """Masks its own shift over time with -10,000."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        T = x.shape[1]
        if ctx.cache is not None or ctx.attn_mask is not None:
            return super().forward(x, ctx)
        future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1)
        ahead = (x.amax(dim=-1).abs()[:, None, :] - 1e4).clamp(min=0) * future
        return super().forward(x, ctx) + ahead.sum(dim=-1, keepdim=True)


class BlockSumsInBfloat16(PreNormBlock):
    """Adds its branches in bfloat16."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        y = super().forward(x, ctx)
        return y if y.dtype == torch.float64 else y.bfloat16().to(y.dtype)


CAUGHT_BY: CaughtBy = {
    HidesBehindTenThousand: "never_reads_the_future_when_scores_are_huge",
    HidesBehindTheLeastOfFloat16: "never_reads_the_future_when_scores_are_huge",
    ExponentiatesAsItIs: "never_reads_the_future_when_scores_are_huge",
    SubtractsTheLargestOfTheFuture: "never_reads_the_future_when_scores_are_huge",
    HidesBehindTwenty: "never_reads_the_future_when_large",
    RoundsLongRows: "equals_reference_when_long_in_float64",
    UnbiasedVariance: "rows_are_independent",
    RootOfADifference: "reads_only_what_was_written",
    LogOfAnExponential: "is_finite",
    TanhByExponentials: "is_finite",
    BlockLetsTenThousandThrough: "never_reads_the_future_when_scores_are_huge",
    BlockSumsInBfloat16: "is_precise",
}
