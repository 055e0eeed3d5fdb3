"""Building blocks of optimizers and schedules: several optimizers joined into one, and linear warm-up."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from pydantic import NonNegativeInt

from gptkit.interfaces import Schedule

__all__ = ["TogetherOptimizer", "WarmupSchedule"]


class WarmupSchedule(Schedule):
    """Linear warm-up to a factor of 1. Subclasses define what follows.

    Args:
        warmup: Steps of warm-up; fewer than `total`.

    Raises:
        ValueError: If `warmup` is not below `total`.
    """

    def __init__(self, total: int, *, warmup: NonNegativeInt = 0) -> None:
        super().__init__(total)
        if warmup >= total:
            raise ValueError(f"warmup = {warmup} must be below the number of steps, {total}")
        self.total, self.warmup = total, warmup

    @abstractmethod
    def after_warmup(self, progress: float) -> float:
        """Return the factor once `progress`, from 0 to 1, of the steps after the warm-up are done."""

    def __call__(self, step: int) -> float:
        """Return the factor of a step, counted from 0."""
        if step < self.warmup:
            # As in nanoGPT: step 0 already learns, and the first step after the warm-up is at 1.
            return (step + 1) / (self.warmup + 1)
        return self.after_warmup((step - self.warmup) / (self.total - self.warmup))


class TogetherOptimizer(torch.optim.Optimizer):
    """Joins optimizers of disjoint parameters into one `torch.optim.Optimizer`.

    It shares groups and state with its members: schedule, checkpoint and `zero_grad` reach every member through
    it.

    Args:
        optimizers: The members, each with its own parameters.

    Raises:
        ValueError: If a parameter is in two of them.
    """

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.optimizers = optimizers
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        super().__init__([{"params": group["params"]} for group in groups], {})
        # The base class reads and saves `param_groups` and `state`. With the members' own objects in them, all of
        # its methods cover every member.
        self.param_groups = groups
        for optimizer in optimizers:
            self.state.update(optimizer.state)
            optimizer.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Call the closure, if given, once; take one step with each member; return the closure's loss."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the groups and state that `state_dict` returned, and share them with the members again."""
        super().load_state_dict(state_dict)
        groups = iter(self.param_groups)
        for optimizer in self.optimizers:
            optimizer.param_groups = [next(groups) for _ in optimizer.param_groups]
            optimizer.state = self.state
