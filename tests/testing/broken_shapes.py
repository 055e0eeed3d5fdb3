"""Optimizers that fail where there is no matrix, or where gradients are large."""

import math
from typing import Any

import torch
from torch import Tensor

from gptkit.interfaces import ParameterGroups
from tests.testing.mutant import CaughtBy
from tests.testing.right_optimizers import MomentumDescent, MomentumOptimizer

Group = dict[str, Any]


class NeedsMatrices(MomentumOptimizer):
    """Takes the largest matrix, of which there may be none."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        largest = max(weight.numel() for weight in groups.matrices)
        optimizer = super().build(groups)
        optimizer.defaults["largest"] = largest
        return optimizer


class OverflowingDescent(MomentumDescent):
    def update(self, weight: Tensor, gradient: Tensor, group: Group) -> None:
        norm = math.sqrt(float(gradient.half().square().sum()))
        super().update(weight, gradient / max(1.0, norm), group)


class ClipsInFloat16(MomentumOptimizer):
    """Squares gradients in float16; those from 256 on have an infinite norm and no effect."""

    descent = OverflowingDescent


CAUGHT_BY: CaughtBy = {
    NeedsMatrices: "lowers_a_convex_loss_when_groups_are_unusual",
    ClipsInFloat16: "trains_packed_weights_as_separate",
}
