"""What wires the parts of a layer together."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from gptkit.interfaces.attention import Attention
from gptkit.interfaces.dims import Dims
from gptkit.interfaces.feed_forward import FeedForward
from gptkit.interfaces.norm import Norm
from gptkit.interfaces.place import Memory, Place


class Parts(ABC):
    """Builds the parts of one block: each call returns a new one, as the recipe chose it for this layer."""

    @abstractmethod
    def attention(self) -> Attention:
        """Return a new attention."""

    @abstractmethod
    def feed_forward(self) -> FeedForward:
        """Return a new feed-forward."""

    @abstractmethod
    def norm(self) -> Norm:
        """Return a new norm."""


class Block(nn.Module, ABC):
    """Wires attention, feed-forward and norms onto the residual stream."""

    def __init__(self, dims: Dims, parts: Parts) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, x: Float[Tensor, "B T C"], at: Place = Place()) -> Float[Tensor, "B T C"]:
        """Return the residual stream after this block."""

    def new_memory(self, batch_size: int, length: int) -> Memory:
        """Return an empty memory for this block's attention. Blocks with more than one override this.

        Raises:
            NotImplementedError: If the block does not hold exactly one attention.
        """
        attentions = [module for module in self.modules() if isinstance(module, Attention)]
        if len(attentions) != 1:
            raise NotImplementedError(
                f"{type(self).__name__} holds {len(attentions)} attentions: override new_memory to say "
                "what it remembers"
            )
        return attentions[0].new_memory(batch_size, length)
