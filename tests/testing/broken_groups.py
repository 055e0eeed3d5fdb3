"""Optimizers that fail on unusual groups, at one group's rate, on gradients of zero, or on packed weights."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.components.optimizer.muon import MuonOptimizer
from gptkit.interfaces import ParameterGroups
from tests.testing.broken_optimizers import together
from tests.testing.mutant import CaughtBy


class Plain(torch.optim.Optimizer):
    """Gradient descent. Subclasses say by how much a weight changes."""

    def __init__(self, groups: list[dict[str, Any]], rate: float = 1e-2) -> None:
        super().__init__(groups, {"lr": rate})

    def update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        return group["lr"] * gradient

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.sub_(self.update(weight, weight.grad, group))
        return None


class NeedsEveryKind(AdamWOptimizer):
    """A bare list of parameters may not be empty."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        Plain(groups.vectors)  # type: ignore[arg-type]
        return super().build(groups)


class TrainsMatricesOfTwoAxes(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        class Choosy(Plain):
            def update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
                return super().update(weight, gradient, group) * (weight.ndim <= 2)

        return Choosy(together(groups))


class ForgetsConvolutions(MuonOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return super().build(replace(groups, matrices=[each for each in groups.matrices if each.ndim == 2]))


class ForgetsScalars(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return super().build(replace(groups, vectors=[each for each in groups.vectors if each.ndim == 1]))


class LosesTheStateOfOneNumber(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        def load(optimizer: torch.optim.Optimizer) -> None:
            for weight, state in optimizer.state.items():
                if weight.numel() == 1:
                    state["exp_avg"].zero_()

        optimizer = super().build(groups)
        optimizer.register_load_state_dict_post_hook(load)
        return optimizer


class FollowsTheRateOfItsFirstGroup(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        class OneRate(Plain):
            def update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
                return super().update(weight, gradient, self.param_groups[0])

        return OneRate(together(groups))


class DecaysAtItsFirstRate(AdamWOptimizer):
    """Decays by the same share at any learning rate above zero."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        class Decaying(Plain):
            def update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
                return super().update(weight, gradient, group) + (1e-5 * weight if group["lr"] else 0)

        return Decaying(together(groups))


class DividesByItsGradient(AdamWOptimizer):
    """Steps of one length, which a gradient of zero does not have."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        class Normalised(Plain):
            def update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
                return group["lr"] * gradient / gradient.norm()

        return Normalised(together(groups))


class IgnoresPacking(MuonOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return super().build(replace(groups, packed={}))


class SplitsIntoHalves(MuonOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        halves = {weight: [len(weight) // 2, len(weight) - len(weight) // 2] for weight in groups.packed}
        return super().build(replace(groups, packed=halves))


class UpdatesTheFirstOfPacked(MuonOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer = super().build(groups)

        def hide(optimizer: torch.optim.Optimizer, *_: object) -> None:
            for weight, rows in groups.packed.items():
                if weight.grad is not None:
                    weight.grad[rows[0] :] = 0

        optimizer.register_step_pre_hook(hide)
        return optimizer


class RestsAtNight(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        class Resting(Plain):
            def update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
                return super().update(weight, gradient, group) * (1 + time.time() // 3600 % 24 / 100)

        return Resting(together(groups))


class HalvesWithAge(AdamWOptimizer):
    """Ten minutes after it was built."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        began = time.monotonic()

        class Ageing(Plain):
            def update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
                return super().update(weight, gradient, group) * (1 if time.monotonic() < began + 600 else 0.5)

        return Ageing(together(groups))


class LowersItsRate(AdamWOptimizer):
    """Which the schedule sets again before each step."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        def lower(optimizer: torch.optim.Optimizer, *_: object) -> None:
            for group in optimizer.param_groups:
                group["lr"] *= 0.9

        optimizer = super().build(groups)
        optimizer.register_step_post_hook(lower)
        return optimizer


class AddsNoise(AdamWOptimizer):
    """From PyTorch's global generator, which no step seeds for it."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        class Noisy(Plain):
            def update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
                return super().update(weight, gradient * (1 + torch.initial_seed() % 7 / 100), group)

        return Noisy(together(groups))


class WarmsUpOnceForAll(AdamWOptimizer):
    """All optimizers of the class count their steps together."""

    steps = 0

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        class Counting(Plain):
            def update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
                WarmsUpOnceForAll.steps += 1
                return super().update(weight, gradient, group) * (2 - 1 / WarmsUpOnceForAll.steps)

        return Counting(together(groups))


CAUGHT_BY: CaughtBy = {
    NeedsEveryKind: "lowers_a_convex_loss_when_groups_are_unusual",
    TrainsMatricesOfTwoAxes: "moves_every_kind_of_weight_when_groups_are_unusual",
    ForgetsConvolutions: "takes_each_weight_once_when_groups_are_unusual",
    ForgetsScalars: "takes_each_weight_once_when_groups_are_unusual",
    LosesTheStateOfOneNumber: "goes_on_from_its_state_when_groups_are_unusual",
    FollowsTheRateOfItsFirstGroup: "each_group_follows_its_rate",
    DecaysAtItsFirstRate: "decay_follows_the_learning_rate",
    DividesByItsGradient: "decay_follows_the_learning_rate",
    IgnoresPacking: "trains_packed_weights_as_separate",
    SplitsIntoHalves: "trains_packed_weights_as_separate",
    UpdatesTheFirstOfPacked: "trains_packed_weights_as_separate",
    RestsAtNight: "depends_on_its_gradients_alone",
    WarmsUpOnceForAll: "depends_on_its_gradients_alone",
    HalvesWithAge: "depends_on_its_gradients_alone",
    LowersItsRate: "each_group_follows_its_rate",
    AddsNoise: "depends_on_its_gradients_alone",
}
