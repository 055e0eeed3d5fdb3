from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from gptkit.hookspecs import Register, hookimpl
from gptkit.nn import TwoLayerFeedForward


class GeluFeedForward(TwoLayerFeedForward):
    """Two linear layers with a GELU between them, as in GPT-2, in its exact form.

    Source:
        Hendrycks and Gimpel 2016, arXiv:1606.08415.
    """

    def activate(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return x·Φ(x), Φ the normal distribution function."""
        return F.gelu(x)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("gelu", GeluFeedForward)
