"""Broken feed-forwards, norms, positions and blocks that the first version of the kit did not catch."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.position.learned import LearnedPosition
from gptkit.interfaces import AttentionContext, BlockParts, Dims
from gptkit.nn import Embedding
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import BareNorm

StartPos = int | Tensor


class SharesWeightsBetweenLayers(GeluFeedForward):
    kept: ClassVar[dict[int, Any]] = {}

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        if not self.widen.weight.is_meta:
            self.widen, self.narrow = self.kept.setdefault(dims.n_embd, (self.widen, self.narrow))


class CannotAutocast(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.activate(self.widen(x)).flatten(0, 1)
        y = torch.zeros_like(x).flatten(0, 1)
        y.index_copy_(0, torch.arange(len(y)), self.narrow(hidden))
        return self.resid_dropout(y.view_as(x))


class WrongInBfloat16(GeluFeedForward):
    def activate(self, x: Tensor) -> Tensor:
        return super().activate(x) * (2 if x.dtype == torch.bfloat16 else 1)


class RefusesLateAsNotImplemented(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] > 2:
            raise NotImplementedError("takes up to two tokens")
        return super().forward(x)


class WrongWhereExpandIsTwo(GeluFeedForward):
    def activate(self, x: Tensor) -> Tensor:
        return super().activate(x) * (1 if self.widen.out_features == 4 * self.widen.in_features else x.mean())


class CentresRowsWhenTraining(BareNorm):
    """Mixes rows and positions in training mode only."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(dim=(0, 1)) if self.training else x)


class OnePassVariance(BareNorm):
    """The mean of squares less the square of the mean, which cancel if the mean is large."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=-1, keepdim=True)
        variance = (x.square().mean(dim=-1, keepdim=True) - mean.square()).clamp(min=0)
        return (x - mean) * (variance + self.norm.eps).rsqrt() * self.norm.weight + self.norm.bias


class SmallEpsInHalfPrecision(BareNorm):
    """Without an epsilon in bfloat16."""

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        eps = 0.0 if x.dtype == torch.bfloat16 else self.norm.eps
        scale = (centred.square().mean(dim=-1, keepdim=True) + eps).rsqrt()
        return centred * scale * self.norm.weight + self.norm.bias


class TableOneShort(LearnedPosition):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.table = Embedding(max(1, dims.block_size - 1), dims.n_embd)


class MakesItsOwnAttention(PreNormBlock):
    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.attention = NaiveAttention(dims)


class ReachesIntoItsAttention(PreNormBlock):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        attention: Any = self.attention
        y = super().forward(x, ctx)
        return y + 0 * attention.qkv(x)[..., : x.shape[-1]]


class TakesFloat32ForFloat16(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y.half().to(x.dtype) if x.dtype == torch.float32 else y


class KeepsTheLargest(GeluFeedForward):
    """Scales by the largest number it has seen so far."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.largest = 0.0

    def forward(self, x: Tensor) -> Tensor:
        self.largest = max(self.largest, float(x.detach().abs().max()))
        return super().forward(x) * self.largest


CAUGHT_BY: CaughtBy = {
    KeepsTheLargest: "forgets_earlier_passes",
    SharesWeightsBetweenLayers: "first_weights_are_drawn",
    CannotAutocast: "takes_autocast",
    WrongInBfloat16: "is_right_in_bfloat16",
    TakesFloat32ForFloat16: "is_precise",
    RefusesLateAsNotImplemented: "limits_are_declared",
    WrongWhereExpandIsTwo: "positions_are_independent rows_are_independent",
    CentresRowsWhenTraining: "trains_as_it_evaluates",
    OnePassVariance: "is_precise_far_from_zero",
    SmallEpsInHalfPrecision: "is_finite_at_rest",
    TableOneShort: "keeps_shape_and_dtype",
    MakesItsOwnAttention: "uses_the_parts_it_is_given",
    ReachesIntoItsAttention: "takes_any_parts",
}
