"""The base class of `relu`, `gelu` and `relu2`: widen, activate, narrow."""

from abc import abstractmethod

from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor

from gptkit.interfaces import Dims, FeedForward
from gptkit.nn.dropout import Dropout
from gptkit.nn.layers import Linear


class TwoLayerFeedForward(FeedForward):
    """Two linear layers with an activation between them. Subclasses define `activate`.

    Args:
        expand: Width of the hidden layer, in multiples of n_embd.
        bias: Whether the layers have biases.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.3.
    """

    def __init__(self, dims: Dims, *, expand: PositiveInt = 4, bias: bool = True) -> None:
        super().__init__(dims)
        self.widen = Linear(dims.n_embd, expand * dims.n_embd, bias=bias)
        self.narrow = Linear(expand * dims.n_embd, dims.n_embd, bias=bias)
        self.resid_dropout = Dropout(dims.dropout)

    @abstractmethod
    def activate(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Apply the activation to each element."""

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Transform each position."""
        return self.resid_dropout(self.narrow(self.activate(self.widen(x))))
