"""Parts that draw their dropout wrongly, where no reference and no rate of the whole shows it."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.interfaces import AttentionContext, BlockParts, Dims
from tests.testing.mutant import CaughtBy
from tests.testing.right_attentions import DroppingAttention
from tests.testing.right_feed_forwards import InnerDroppingFeedForward


class DropsAlikeInEachRow(DroppingAttention):
    """Draws one mask for all rows of the batch."""

    def dropped(self, weights: Tensor) -> Tensor:
        return weights * F.dropout(torch.ones_like(weights[:1]), self.rate, self.training)


class DropsQueriesWhole(DroppingAttention):
    """Draws one number for all keys of a query."""

    def dropped(self, weights: Tensor) -> Tensor:
        return weights * F.dropout(torch.ones_like(weights[..., :1]), self.rate, self.training)


class DropsWeightsUnscaled(DroppingAttention):
    """Does not divide the weights that it keeps."""

    def dropped(self, weights: Tensor) -> Tensor:
        return F.dropout(weights, self.rate, self.training) * (1 - self.rate if self.training else 1)


class DropsWithNumpy(DroppingAttention):
    """Draws from NumPy's generator, which the seed of a run does not reach."""

    def dropped(self, weights: Tensor) -> Tensor:
        if not self.training:
            return weights
        keep = torch.from_numpy(np.random.default_rng().random(weights.shape) >= self.rate).to(weights.device)
        return weights * keep / (1 - self.rate)


class InnerMaskOfAllRows(InnerDroppingFeedForward):
    """Draws one inner mask for all rows."""

    def dropped(self, hidden: Tensor) -> Tensor:
        return hidden * F.dropout(torch.ones_like(hidden[:1]), self.rate, self.training)


class InnerMaskOfAllChannels(InnerDroppingFeedForward):
    """Drops the whole hidden layer of a position."""

    def dropped(self, hidden: Tensor) -> Tensor:
        return hidden * F.dropout(torch.ones_like(hidden[..., :1]), self.rate, self.training)


class InnerMaskOfEachStep(InnerDroppingFeedForward):
    """Draws one inner mask and keeps it for all steps."""

    kept: Tensor | None = None

    def dropped(self, hidden: Tensor) -> Tensor:
        if not self.training:
            return hidden
        if self.kept is None or self.kept.shape != hidden.shape:
            self.kept = F.dropout(torch.ones_like(hidden), self.rate).detach()
        return hidden * self.kept.to(hidden.dtype)


class InnerDropoutUnscaled(InnerDroppingFeedForward):
    """Does not divide what it keeps of the hidden layer."""

    def dropped(self, hidden: Tensor) -> Tensor:
        return F.dropout(hidden, self.rate, self.training) * (1 - self.rate if self.training else 1)


class InnerDropoutInEval(InnerDroppingFeedForward):
    """Drops of the hidden layer in eval mode as well, where gradients are on."""

    def dropped(self, hidden: Tensor) -> Tensor:
        return F.dropout(hidden, self.rate, self.training or torch.is_grad_enabled())


class BlockDropsBranchesUnscaled(PreNormBlock):
    """Drops the whole feed-forward in training and does not divide when it keeps it."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.rate = dims.dropout

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        x = x + self.attention(self.norm_1(x), ctx)
        keep = (torch.rand(len(x), 1, 1, device=x.device) >= self.rate) | (not self.training)
        return x + self.feed_forward(self.norm_2(x)) * keep


CAUGHT_BY: CaughtBy = {
    DropsAlikeInEachRow: "dropout_keeps_the_mean",
    DropsQueriesWhole: "output_dropout_has_its_rate",
    DropsWeightsUnscaled: "dropout_keeps_the_mean",
    DropsWithNumpy: "dropout_follows_the_seed",
    InnerMaskOfAllRows: "dropout_keeps_the_mean",
    InnerMaskOfAllChannels: "output_dropout_has_its_rate",
    InnerMaskOfEachStep: "dropout_follows_the_seed",
    InnerDropoutUnscaled: "dropout_keeps_the_mean",
    InnerDropoutInEval: "eval_is_deterministic",
    BlockDropsBranchesUnscaled: "eval_is_deterministic",
}
