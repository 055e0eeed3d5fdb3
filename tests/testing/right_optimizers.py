"""A right optimizer that is easy to break in one place."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gptkit.interfaces import Optimizer, ParameterGroups


class MomentumDescent(torch.optim.Optimizer):
    """Gradient descent with momentum and decoupled decay, both in the state."""

    def __init__(self, groups: list[dict[str, Any]], rate: float) -> None:
        super().__init__(groups, {"lr": rate, "decay": 0.01})

    def rate(self, group: dict[str, Any]) -> float:
        return float(group["lr"])

    def decay(self, group: dict[str, Any]) -> float:
        """Return the share of a weight that a step removes."""
        return self.rate(group) * float(group["decay"])

    def velocity(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(weight)
        return state["velocity"]

    def update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Update one weight."""
        velocity = self.velocity(weight)
        velocity.mul_(0.9).add_(gradient)
        weight.mul_(1 - self.decay(group)).sub_(self.rate(group) * velocity)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.update(weight, weight.grad, group)
        return loss


class MomentumOptimizer(Optimizer):
    """Builds a `MomentumDescent`, whose class is a field."""

    descent: type[MomentumDescent] = MomentumDescent

    def groups(self, groups: ParameterGroups) -> list[dict[str, Any]]:
        return [
            {"params": groups.matrices},
            {"params": groups.embeddings},
            {"params": groups.vectors, "decay": 0.0},
        ]

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return self.descent([group for group in self.groups(groups) if group["params"]], 1e-2)
