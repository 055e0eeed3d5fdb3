"""Dynamic Tanh: a norm without statistics."""

import torch
from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, Norm


class DytNorm(Norm):
    """Applies tanh with a learned slope to each channel, then scales and shifts it.

    It computes no mean and no variance: each element is transformed by itself.

    Args:
        alpha: Initial slope.

    Source:
        Zhu et al. 2025, arXiv:2503.10622, section 4.
    """

    def __init__(self, dims: Dims, *, alpha: PositiveFloat = 0.5) -> None:
        super().__init__(dims)
        self.alpha = nn.Parameter(torch.tensor(alpha))
        self.gamma = nn.Parameter(torch.ones(dims.n_embd))
        self.beta = nn.Parameter(torch.zeros(dims.n_embd))

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Transform each element."""
        return self.gamma * torch.tanh(self.alpha * x) + self.beta  # (C) * (B, T, C) + (C)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `dyt`."""
    register("dyt", DytNorm)
