import torch
from pydantic import NonNegativeFloat, PositiveFloat

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Optimizer, ParameterGroups, Probability
from gptkit.optim import AdamW, Muon, TogetherOptimizer


class MuonOptimizer(Optimizer):
    """Muon for the matrices of the blocks, each of a packed parameter by itself; AdamW for all other parameters.

    Muon's updates are scaled to the size of AdamW's, so that one learning rate suits both.

    Args:
        momentum: Decay rate per step of Muon's running mean of gradients.
        betas: Decay rates per step of AdamW's running means of gradients and of squared gradients.
        weight_decay: Share of a weight that one step at learning rate 1 removes. Biases and gains do not decay.

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
        """Build both optimizers, joined into one."""
        matrices = [weight for weight in groups.matrices if weight.ndim == 2]
        others = groups.embeddings + [weight for weight in groups.matrices if weight.ndim != 2]
        muon = Muon(
            # As a group, which may be empty.
            [{"params": matrices}],
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            packed=groups.packed,
        )
        adamw = AdamW(
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


@hookimpl
def gptkit_register(register: Register) -> None:
    register("muon", MuonOptimizer)
