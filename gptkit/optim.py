"""What optimizers and schedules are made of."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from pydantic import NonNegativeInt

from gptkit.interfaces import Schedule

__all__ = ["TogetherOptimizer", "WarmupSchedule"]


class WarmupSchedule(Schedule):
    """Rises in a straight line to 1, then goes on as subclasses say.

    Args:
        warmup: Steps spent rising; fewer than the run has.

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
        """Return the factor at a share of the steps after the warm-up, from 0 to 1."""

    def __call__(self, step: int) -> float:
        """Return the factor of a step, counted from 0."""
        if step < self.warmup:
            # As in nanoGPT: step 0 already learns, and the step after the last of the warm-up is at 1.
            return (step + 1) / (self.warmup + 1)
        return self.after_warmup((step - self.warmup) / (self.total - self.warmup))


class TogetherOptimizer(torch.optim.Optimizer):
    """Several optimizers, each of its own parameters, behind the face of one."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.optimizers = optimizers
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        super().__init__([{"params": group["params"]} for group in groups], {})
        self.share()

    def share(self) -> None:
        """Make the groups and the state of the parts those of the whole, the same objects."""
        # The base class reads and saves `param_groups` and `state`: sharing them makes all of it hold here.
        self.param_groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for optimizer in self.optimizers:
            self.state.update(optimizer.state)
            optimizer.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step of each; return what the closure, if given, returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state_dict)
        groups = iter(self.param_groups)
        for optimizer in self.optimizers:
            optimizer.param_groups = [next(groups) for _ in optimizer.param_groups]
            optimizer.state = self.state
