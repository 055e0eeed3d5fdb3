"""The gated feed-forward of LLaMA."""

from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, FeedForward
from gptkit.nn import Dropout, Linear


class SwigluFeedForward(FeedForward):
    """A linear layer gated by the SiLU of another, then narrowed.

    Three matrices stand where the others have two, so the width is two thirds of `expand` times the
    channels, rounded up to a multiple of 8: the same `expand` costs the same.

    Args:
        expand: Width of a feed-forward with two matrices that has as many weights, in multiples of the
            channels.
        bias: Whether the layers have biases.

    Source:
        Shazeer 2020, arXiv:2002.05202, equation 6.
    """

    def __init__(self, dims: Dims, *, expand: PositiveInt = 4, bias: bool = False) -> None:
        super().__init__(dims)
        width = -(-2 * expand * dims.n_embd // (3 * 8)) * 8
        self.gate_and_value = Linear(dims.n_embd, 2 * width, bias=bias)
        self.narrow = Linear(width, dims.n_embd, bias=bias)
        self.resid_dropout = Dropout(dims.dropout)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return every position, transformed."""
        gate, value = self.gate_and_value(x).chunk(2, dim=-1)
        return self.resid_dropout(self.narrow(F.silu(gate) * value))


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `swiglu`."""
    register("swiglu", SwigluFeedForward)
