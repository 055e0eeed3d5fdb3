from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, Norm


class LayerNorm(Norm):
    """Normalises each position to mean 0 and variance 1, then scales and shifts its channels.

    Args:
        eps: Added to the variance, under the square root.
        bias: Whether channels are also shifted.

    Source:
        Ba et al. 2016, arXiv:1607.06450.
    """

    def __init__(self, dims: Dims, *, eps: PositiveFloat = 1e-5, bias: bool = True) -> None:
        super().__init__(dims)
        self.norm = nn.LayerNorm(dims.n_embd, eps=eps, bias=bias)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Normalise each position."""
        return self.norm(x)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("layernorm", LayerNorm)
