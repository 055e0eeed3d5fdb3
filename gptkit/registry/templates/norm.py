"""A norm to start from: divides by the mean absolute value."""

import torch
from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, Norm


class MineNorm(Norm):
    """Normalises each position to mean absolute value 1, then scales its channels.

    Change: what a position is divided by. Your own options are keyword-only, annotated parameters of the
    constructor.

    Promised: each position is rescaled independently of the others, and a position of zeros stays finite.

    Args:
        eps: Added to the mean absolute value.
    """

    def __init__(self, dims: Dims, *, eps: PositiveFloat = 1e-5) -> None:
        super().__init__(dims)
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(dims.n_embd))

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Normalise each position."""
        size = x.abs().mean(dim=-1, keepdim=True)  # (B, T, 1)
        return self.gain * (x / (size + self.eps))  # (C) * (B, T, C)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineNorm)
