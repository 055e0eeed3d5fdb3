"""Dynamic Tanh: a norm that measures nothing."""

import torch
from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, Norm


class DytNorm(Norm):
    """Squashes each channel by a tanh whose slope is learnt, then scales and shifts it.

    No mean and no variance: every number is rescaled by itself.

    Args:
        alpha: Where the learnt slope begins.

    Source:
        Zhu et al. 2025, arXiv:2503.10622, section 4.
    """

    def __init__(self, dims: Dims, *, alpha: PositiveFloat = 0.5) -> None:
        super().__init__(dims)
        self.alpha = nn.Parameter(torch.tensor(alpha))
        self.gamma = nn.Parameter(torch.ones(dims.n_embd))
        self.beta = nn.Parameter(torch.zeros(dims.n_embd))

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return every position, rescaled."""
        return self.gamma * torch.tanh(self.alpha * x) + self.beta  # (C) * (B, T, C) + (C)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `dyt`."""
    register("dyt", DytNorm)
