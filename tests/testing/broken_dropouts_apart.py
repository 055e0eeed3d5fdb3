"""Parts whose dropout repeats itself from row to row, from step to step or from position to position."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.interfaces import AttentionContext, BlockParts, Dims
from tests.testing.mutant import CaughtBy
from tests.testing.right_attentions import DroppingAttention
from tests.testing.right_droppers import WeightDroppingAttention
from tests.testing.right_feed_forwards import InnerDroppingFeedForward


class DropsAlikeAtEachStep(DroppingAttention):
    """Keeps the mask that it drew first for a shape."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.masks: dict[tuple[int, ...], Tensor] = {}

    def dropped(self, weights: Tensor) -> Tensor:
        if not self.training:
            return weights
        mask = self.masks.setdefault(tuple(weights.shape), F.dropout(torch.ones_like(weights), self.rate))
        return weights * mask.to(weights.dtype)


class InnerDropoutBySeedOfItsOwn(InnerDroppingFeedForward):
    """Seeds the inner mask with a constant."""

    def dropped(self, hidden: Tensor) -> Tensor:
        if not self.training:
            return hidden
        draws = torch.rand(hidden.shape, generator=torch.Generator().manual_seed(1337)).to(hidden.device)
        return hidden * (draws >= self.rate) / (1 - self.rate)


class InnerMaskOfAllPositions(InnerDroppingFeedForward):
    """Draws one inner mask for all positions of a row."""

    def dropped(self, hidden: Tensor) -> Tensor:
        return hidden * F.dropout(torch.ones_like(hidden[:, :1]), self.rate, self.training)


class DropsChannelsWhole(GeluFeedForward):
    """Drops a channel at all positions together."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.narrow(self.activate(self.widen(x)))
        return y * F.dropout(torch.ones_like(y[:, :1]), self.resid_dropout.p, self.training)


class DropsRowsAgainstEachOther(GeluFeedForward):
    """Keeps in every second row what it dropped in the first, at a rate of one half."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.narrow(self.activate(self.widen(x)))
        if not self.training or self.resid_dropout.p != 0.5 or len(y) < 2:
            return self.resid_dropout(y)
        first = F.dropout(torch.ones_like(y[::2]), 0.5)
        return y * torch.stack((first, 2 - first), dim=1).flatten(0, 1)[: len(y)]


class BlockDropsTheResidual(PreNormBlock):
    """Drops the residual stream itself, alike in all rows."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.rate = dims.dropout

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x * F.dropout(torch.ones_like(x[:1]), self.rate, self.training), ctx)


class DropsWeightsOfPairs(WeightDroppingAttention):
    """Draws a mask for half of the queries and repeats it."""

    def dropped(self, weights: Tensor) -> Tensor:
        half = self.attn_dropout(torch.ones_like(weights[:, :, : (weights.shape[2] + 1) // 2]))
        return weights * half.repeat_interleave(2, dim=2)[:, :, : weights.shape[2]]


class DropsWeightsOfEveryOtherQuery(WeightDroppingAttention):
    """Drops at twice the rate in every other query, and nothing between."""

    def dropped(self, weights: Tensor) -> Tensor:
        odd = (torch.arange(weights.shape[2], device=weights.device) % 2 == 1)[:, None]
        return torch.where(odd, F.dropout(weights, min(0.99, 2 * self.dropout), self.training), weights)


class DropsWeightsOfThePastAlone(WeightDroppingAttention):
    """Never drops the weight of a query's own position."""

    def dropped(self, weights: Tensor) -> Tensor:
        own = torch.eye(*weights.shape[2:], dtype=torch.bool, device=weights.device)
        return torch.where(own, weights, self.attn_dropout(weights))


CAUGHT_BY: CaughtBy = {
    DropsAlikeAtEachStep: "steps_drop_independently",
    InnerDropoutBySeedOfItsOwn: "steps_drop_independently",
    InnerMaskOfAllPositions: "steps_drop_independently",
    DropsChannelsWhole: "steps_drop_independently",
    DropsRowsAgainstEachOther: "rows_drop_independently",
    BlockDropsTheResidual: "rows_drop_independently",
    DropsWeightsOfPairs: "weights_drop_independently",
    DropsWeightsOfEveryOtherQuery: "weights_drop_independently",
    DropsWeightsOfThePastAlone: "weights_drop_independently",
}
