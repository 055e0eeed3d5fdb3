from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from gptkit.hookspecs import Register, hookimpl
from gptkit.nn import TwoLayerFeedForward


class ReluFeedForward(TwoLayerFeedForward):
    """Two linear layers with a ReLU between them, as in the original transformer.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, equation 2.
    """

    def activate(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return max(x, 0)."""
        return F.relu(x)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("relu", ReluFeedForward)
