"""Adam with decoupled weight decay."""

import torch
from pydantic import NonNegativeFloat, PositiveFloat

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Optimizer, ParameterGroups, Probability


class AdamWOptimizer(Optimizer):
    """`torch.optim.AdamW`, its weights decaying but not its biases and gains, as in nanoGPT.

    Args:
        betas: Decay rates of the running means of gradients and of their squares, per step.
        weight_decay: Share of a weight that a step at learning rate 1 removes.

    Source:
        Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.
    """

    def __init__(
        self,
        *,
        learning_rate: PositiveFloat = 3e-4,
        betas: tuple[Probability, Probability] = (0.9, 0.999),
        eps: PositiveFloat = 1e-8,
        weight_decay: NonNegativeFloat = 0.01,
    ) -> None:
        self.learning_rate, self.betas, self.eps, self.weight_decay = learning_rate, betas, eps, weight_decay

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.AdamW(
            [
                {"params": groups.matrices + groups.embeddings, "weight_decay": self.weight_decay},
                {"params": groups.vectors, "weight_decay": 0.0},
            ],
            lr=self.learning_rate,
            betas=self.betas,
            eps=self.eps,
            fused=True,
        )


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `adamw`."""
    register("adamw", AdamWOptimizer)
