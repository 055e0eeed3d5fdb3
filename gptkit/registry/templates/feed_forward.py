"""A feed-forward to start from: two layers with a SiLU between them."""

from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, FeedForward
from gptkit.nn import Dropout, Linear


class MineFeedForward(FeedForward):
    """Two linear layers with a SiLU between them.

    Change: anything between input and output. Your own options are keyword-only, annotated parameters of the
    constructor.

    Promised: each position is transformed independently of the others, and dropout acts in training only.

    Args:
        expand: Width of the hidden layer, in multiples of n_embd.
        bias: Whether the layers have biases.

    Source:
        Elfwing et al. 2017, arXiv:1702.03118 (the SiLU).
    """

    def __init__(self, dims: Dims, *, expand: PositiveInt = 4, bias: bool = True) -> None:
        super().__init__(dims)
        self.widen = Linear(dims.n_embd, expand * dims.n_embd, bias=bias)
        self.narrow = Linear(expand * dims.n_embd, dims.n_embd, bias=bias)
        self.resid_dropout = Dropout(dims.dropout)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Transform each position."""
        hidden = F.silu(self.widen(x))  # (B, T, C) -> (B, T, expand·C)
        return self.resid_dropout(self.narrow(hidden))  # (B, T, C)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineFeedForward)
