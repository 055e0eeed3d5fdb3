"""Norm: rescales the channels of each position."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from gptkit.interfaces.dims import Dims


class Norm(nn.Module, ABC):
    """Rescales the channels of each position independently of the others."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Rescale each position."""
