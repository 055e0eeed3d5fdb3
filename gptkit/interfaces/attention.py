"""What mixes across time."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from gptkit.interfaces.attention_context import AttentionContext, LayerCache
from gptkit.interfaces.dims import Dims


class Attention(nn.Module, ABC):
    """Mixes across time: position t reads positions up to t only."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return what each position gathered from those it may see."""

    @abstractmethod
    def new_cache(self, batch_size: int, length: int) -> LayerCache:
        """Return an empty memory for `length` positions of `batch_size` sequences."""
