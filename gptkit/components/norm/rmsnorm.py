from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, Norm


class RMSNorm(Norm):
    """Normalises each position to root mean square 1, then scales its channels. No mean, no shift.

    Args:
        eps: Added to the mean square, under the square root.

    Source:
        Zhang and Sennrich 2019, arXiv:1910.07467, equation 4.
    """

    def __init__(self, dims: Dims, *, eps: PositiveFloat = 1e-5) -> None:
        super().__init__(dims)
        self.norm = nn.RMSNorm(dims.n_embd, eps=eps)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Normalise each position."""
        return self.norm(x)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("rmsnorm", RMSNorm)
