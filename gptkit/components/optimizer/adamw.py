import torch
from pydantic import NonNegativeFloat, PositiveFloat

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Optimizer, ParameterGroups, Probability
from gptkit.optim import AdamW


class AdamWOptimizer(Optimizer):
    """`torch.optim.AdamW`. Weight decay leaves out biases and gains, as in nanoGPT.

    Args:
        betas: Decay rates per step of the running means of gradients and of squared gradients.
        weight_decay: Share of a weight that one step at learning rate 1 removes.

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
        """Build a fused AdamW."""
        return AdamW(
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
    register("adamw", AdamWOptimizer)
