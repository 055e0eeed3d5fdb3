"""Optimizers that are broken for some groups, shapes, rates or states."""

import random
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from gptkit.interfaces import ParameterGroups
from tests.testing.mutant import CaughtBy
from tests.testing.right_optimizers import MomentumDescent, MomentumOptimizer

Group = dict[str, Any]


class RateOfVectorsIsFixed(MomentumDescent):
    def rate(self, group: Group) -> float:
        return 1e-2 if group["decay"] == 0 else super().rate(group)


class IgnoresTheRateOfVectors(MomentumOptimizer):
    """Keeps the rate of the vectors as it was when it was built."""

    descent = RateOfVectorsIsFixed


class FixedDecay(MomentumDescent):
    def decay(self, group: Group) -> float:
        return 1e-2 * float(group["decay"])


class DecaysAtTheFirstRate(MomentumOptimizer):
    """Decays weights by the rate that it was built with."""

    descent = FixedDecay


class DividedByTheRate(MomentumDescent):
    def update(self, weight: Tensor, gradient: Tensor, group: Group) -> None:
        super().update(weight, gradient / group["lr"] * group["lr"], group)


class DividesByTheRate(MomentumOptimizer):
    """Divides by the rate, which a schedule may take to 0."""

    descent = DividedByTheRate

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer = super().build(groups)
        for group in optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"])
        return optimizer


class CountingDescent(MomentumDescent):
    count = 0

    def update(self, weight: Tensor, gradient: Tensor, group: Group) -> None:
        self.count += 1
        super().update(weight, gradient / (1 - 0.9**self.count), group)


class RestartsItsCorrection(MomentumOptimizer):
    """Counts steps in a field that is not in its state, so that a resumed run corrects as at the beginning."""

    descent = CountingDescent


class StateOfAll(MomentumDescent):
    kept: ClassVar[dict[tuple[int, ...], Tensor]] = {}

    def velocity(self, weight: Tensor) -> Tensor:
        kept = self.kept.setdefault(tuple(weight.shape), torch.zeros_like(weight))
        self.state[weight]["velocity"] = kept
        return kept


class SharesItsVelocity(MomentumOptimizer):
    """Keeps the velocity by shape in the class: weights of one shape share it, and runs do."""

    descent = StateOfAll


class StateByAddress(MomentumDescent):
    def __init__(self, groups: list[Group], rate: float) -> None:
        super().__init__(groups, rate)
        self.velocities: dict[int, Tensor] = {}

    def velocity(self, weight: Tensor) -> Tensor:
        return self.velocities.setdefault(id(weight), torch.zeros_like(weight))


class KeepsItsVelocityByAddress(MomentumOptimizer):
    """Looks the velocity up by the address of the weight, outside its state."""

    descent = StateByAddress


class LosesTheStateOfVectors(MomentumOptimizer):
    """Drops the velocity of vectors when a state is loaded."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer = super().build(groups)

        def drop(loaded: torch.optim.Optimizer) -> None:
            for weight in groups.vectors:
                loaded.state.pop(weight, None)

        optimizer.register_load_state_dict_post_hook(drop)
        return optimizer


class EveryOtherStep(MomentumDescent):
    odd = False

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        self.odd = not self.odd
        return super().step(closure) if self.odd else None


class RestsEveryOtherStep(MomentumOptimizer):
    """Does nothing in every other step, and does not save in which."""

    descent = EveryOtherStep


class NoisyDescent(MomentumDescent):
    def update(self, weight: Tensor, gradient: Tensor, group: Group) -> None:
        super().update(weight, gradient * (1 + 0.1 * random.random()), group)


class AddsNoiseOfPython(MomentumOptimizer):
    """Scales gradients by Python's random numbers, which resuming does not restore."""

    descent = NoisyDescent


class LastWeightsAreElsewhere(MomentumDescent):
    """Trains weights of its own and leaves their mean in the parameters."""

    def __init__(self, groups: list[Group], rate: float) -> None:
        super().__init__(groups, rate)
        self.trained: dict[Tensor, Tensor] = {}

    def update(self, weight: Tensor, gradient: Tensor, group: Group) -> None:
        trained = self.trained.setdefault(weight, weight.clone())
        super().update(weight, gradient, group)
        moved = weight - trained
        trained.add_(moved)
        weight.copy_(trained - 0.5 * moved)


class EvaluatesAMean(MomentumOptimizer):
    """The parameters hold a mean of the weights that it trains, and the latter are not in its state."""

    descent = LastWeightsAreElsewhere


class TakesTheGroupsApart(MomentumOptimizer):
    """Empties the lists that it is given."""

    def groups(self, groups: ParameterGroups) -> list[Group]:
        taken = [{"params": [], "decay": decay} for decay in (0.01, 0.01, 0.0)]
        for group, weights in zip(taken, (groups.matrices, groups.embeddings, groups.vectors), strict=True):
            while weights:
                group["params"].append(weights.pop())  # type: ignore[attr-defined]
        return taken


CAUGHT_BY: CaughtBy = {
    IgnoresTheRateOfVectors: "follows_the_learning_rate",
    DecaysAtTheFirstRate: "follows_the_learning_rate",
    DividesByTheRate: "follows_the_learning_rate",
    RestartsItsCorrection: "goes_on_from_its_state",
    SharesItsVelocity: "goes_on_from_its_state",
    KeepsItsVelocityByAddress: "goes_on_from_its_state",
    LosesTheStateOfVectors: "goes_on_from_its_state",
    RestsEveryOtherStep: "goes_on_from_its_state",
    AddsNoiseOfPython: "goes_on_from_its_state",
    EvaluatesAMean: "follows_the_learning_rate",
    TakesTheGroupsApart: "leaves_out_what_has_no_gradient",
}
