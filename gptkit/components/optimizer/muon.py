"""Muon for the matrices, AdamW for the rest."""

from collections.abc import Callable
from typing import Any

import torch
from pydantic import NonNegativeFloat, PositiveFloat

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Optimizer, ParameterGroups, Probability


class MuonOptimizer(Optimizer):
    """`torch.optim.Muon` for the matrices of the blocks, `torch.optim.AdamW` for everything else.

    Muon's steps are scaled to the size of AdamW's, so that one learning rate serves both.

    Args:
        momentum: Decay rate of Muon's running mean of gradients, per step.
        betas: Decay rates of AdamW's running means of gradients and of their squares, per step.
        weight_decay: Share of a weight that a step at learning rate 1 removes; none of a bias or gain.

    Source:
        Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; the scaling is equation 4 of
        Liu et al. 2025, arXiv:2502.16982.
    """

    def __init__(
        self,
        *,
        learning_rate: PositiveFloat = 1e-3,
        momentum: Probability = 0.95,
        betas: tuple[Probability, Probability] = (0.9, 0.95),
        eps: PositiveFloat = 1e-8,
        weight_decay: NonNegativeFloat = 0.1,
    ) -> None:
        self.learning_rate, self.momentum, self.betas = learning_rate, momentum, betas
        self.eps, self.weight_decay = eps, weight_decay

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        """Return both optimizers as one."""
        matrices = [weight for weight in groups.matrices if weight.ndim == 2]
        others = groups.embeddings + [weight for weight in groups.matrices if weight.ndim != 2]
        muon = torch.optim.Muon(
            matrices,
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )
        adamw = torch.optim.AdamW(
            [
                {"params": others, "weight_decay": self.weight_decay},
                {"params": groups.vectors, "weight_decay": 0.0},
            ],
            lr=self.learning_rate,
            betas=self.betas,
            eps=self.eps,
            fused=True,
        )
        return TogetherOptimizer([muon, adamw])


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


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `muon`."""
    register("muon", MuonOptimizer)
