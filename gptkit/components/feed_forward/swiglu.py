from collections.abc import Mapping, Sequence

from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, FeedForward, HasPackedWeights
from gptkit.nn import Dropout, Linear


class SwigluFeedForward(FeedForward, HasPackedWeights):
    """A linear layer gated by the SiLU of another, then narrowed, as in LLaMA.

    It has three matrices where the others have two. Its hidden width is therefore two thirds of `expand` · n_embd,
    rounded up to a multiple of 8: with the same `expand` it has about as many weights and costs about as much.

    Args:
        expand: Hidden width of a two-layer feed-forward with as many weights, in multiples of n_embd.
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
        """Transform each position."""
        gate, value = self.gate_and_value(x).chunk(2, dim=-1)
        return self.resid_dropout(self.narrow(F.silu(gate) * value))

    def packed_rows(self) -> Mapping[Tensor, Sequence[int]]:
        """Return the rows of the gate and of the value."""
        return {self.gate_and_value.weight: 2 * (self.narrow.in_features,)}


@hookimpl
def gptkit_register(register: Register) -> None:
    register("swiglu", SwigluFeedForward)
