"""Optimizers that are broken for some groups, shapes, rates or states."""

import math
import time
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


class LeavesOutThreeAxes(MomentumOptimizer):
    """Takes the matrices of two axes, and forgets stacked experts, which have three."""

    def groups(self, groups: ParameterGroups) -> list[Group]:
        first, *others = super().groups(groups)
        return [{"params": [weight for weight in first["params"] if weight.ndim == 2]}, *others]


class RateOfTheFirstGroup(MomentumDescent):
    def rate(self, group: Group) -> float:
        return float(self.param_groups[0]["lr"])


class FollowsTheFirstGroup(MomentumOptimizer):
    """Reads the rate of the first group for all of them."""

    descent = RateOfTheFirstGroup


class DecaysItsRate(MomentumOptimizer):
    """Multiplies the rate of its groups itself after each step, which the schedule writes over or multiplies."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer = super().build(groups)

        def decay(optimizer: torch.optim.Optimizer, *_: object) -> None:
            for group in optimizer.param_groups:
                group["lr"] *= 0.9

        optimizer.register_step_post_hook(decay)
        return optimizer


class TimedDescent(MomentumDescent):
    def __init__(self, groups: list[Group], rate: float) -> None:
        super().__init__(groups, rate)
        self.began = time.time()

    def rate(self, group: Group) -> float:
        return super().rate(group) * (1 - 0.5 * ((time.time() - self.began) > 600))


class HalvesAfterTenMinutes(MomentumOptimizer):
    """Halves its rate when it is ten minutes old."""

    descent = TimedDescent


class OverflowingDescent(MomentumDescent):
    def update(self, weight: Tensor, gradient: Tensor, group: Group) -> None:
        norm = math.sqrt(float(gradient.half().square().sum()))
        super().update(weight, gradient / max(1.0, norm), group)


class ClipsInFloat16(MomentumOptimizer):
    """Squares gradients in float16; those from 256 on have an infinite norm and no effect."""

    descent = OverflowingDescent


CAUGHT_BY: CaughtBy = {
    NeedsMatrices: "lowers_a_convex_loss_when_groups_are_unusual",
    LeavesOutThreeAxes: "moves_every_kind_of_weight_when_groups_are_unusual",
    FollowsTheFirstGroup: "each_group_follows_its_rate",
    DecaysItsRate: "each_group_follows_its_rate",
    HalvesAfterTenMinutes: "depends_on_its_gradients_alone",
    ClipsInFloat16: "trains_packed_weights_as_separate",
}
