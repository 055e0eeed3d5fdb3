"""Broken optimizers."""

import itertools
from collections.abc import Callable
from typing import Any

import torch

from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.interfaces import ParameterGroups
from tests.testing.mutant import CaughtBy


class Descent(torch.optim.Optimizer):
    """Gradient descent with momentum that `state_dict` does not contain."""

    def __init__(self, groups: list[dict[str, Any]], rate: float) -> None:
        super().__init__(groups, {"lr": rate})
        self.velocity: dict[torch.Tensor, torch.Tensor] = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                velocity = self.velocity.setdefault(weight, torch.zeros_like(weight))
                velocity.mul_(0.9).add_(weight.grad)
                weight.sub_(group["lr"] * velocity)
        return None


class FixedStepDescent(torch.optim.Optimizer):
    """Gradient descent that ignores the groups' learning rate."""

    def __init__(self, groups: list[dict[str, Any]], rate: float) -> None:
        super().__init__(groups, {"lr": rate})
        self.rate = rate

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                weight.sub_(self.rate * weight.grad)
        return None


def together(groups: ParameterGroups) -> list[dict[str, Any]]:
    return [{"params": groups.matrices + groups.embeddings}, {"params": groups.vectors}]


class KeepsItsStateElsewhere(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return Descent(together(groups), 1e-2)


class IgnoresTheSchedule(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return FixedStepDescent(together(groups), 1e-2)


class LosesItsStateOnLoad(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer = super().build(groups)
        optimizer.register_load_state_dict_post_hook(lambda loaded: loaded.state.clear())
        return optimizer


class CountsStepsByTheClock(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer, steps = super().build(groups), itertools.count(1)

        def anneal(optimizer: torch.optim.Optimizer, *_: object) -> None:
            for group in optimizer.param_groups:
                group["weight_decay"] = 0.1 / next(steps)

        optimizer.register_step_pre_hook(anneal)
        return optimizer


class ForgetsVectors(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups.matrices + groups.embeddings, lr=self.learning_rate)


class FreezesVectors(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer = super().build(groups)
        optimizer.param_groups[1]["lr"] = 0.0
        return optimizer


class FreezesEmbeddings(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        learning: dict[str, Any] = {"params": groups.matrices + groups.vectors}
        frozen: dict[str, Any] = {"params": groups.embeddings, "lr": 0.0}
        return torch.optim.AdamW([learning, frozen], lr=self.learning_rate)


class TakesMatricesTwice(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer = super().build(groups)
        optimizer.param_groups.append(dict(optimizer.param_groups[0], params=list(groups.matrices)))
        return optimizer


class Climbs(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return torch.optim.AdamW(together(groups), lr=self.learning_rate, maximize=True)


class Stands(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return torch.optim.AdamW(together(groups), lr=0.0)


class Diverges(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return torch.optim.SGD(together(groups), lr=3.0)


class KeepsAFunction(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer = super().build(groups)
        optimizer.param_groups[0]["decay"] = lambda step: 0.9**step
        return optimizer


CAUGHT_BY: CaughtBy = {
    KeepsItsStateElsewhere: "goes_on_from_its_state",
    IgnoresTheSchedule: "follows_the_learning_rate",
    LosesItsStateOnLoad: "goes_on_from_its_state",
    CountsStepsByTheClock: "goes_on_from_its_state",
    ForgetsVectors: "moves_every_kind_of_weight takes_each_weight_once",
    FreezesVectors: "moves_every_kind_of_weight",
    FreezesEmbeddings: "moves_every_kind_of_weight",
    TakesMatricesTwice: "takes_each_weight_once",
    Climbs: "lowers_a_convex_loss",
    Stands: "lowers_a_convex_loss moves_every_kind_of_weight",
    Diverges: "lowers_a_convex_loss",
    KeepsAFunction: "state_is_data",
}
