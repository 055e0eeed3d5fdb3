"""What wires the parts of a layer together."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from gptkit.interfaces.attention import Attention
from gptkit.interfaces.attention_context import AttentionContext, LayerCache
from gptkit.interfaces.dims import Dims
from gptkit.interfaces.feed_forward import FeedForward
from gptkit.interfaces.norm import Norm


@dataclass(frozen=True)
class BlockParts:
    """What builds the parts of a block: its classes, or functions of the sizes. Each call builds a new part.

    Args:
        attention: Such as `SdpaAttention`, or `partial(SdpaAttention, qkv_bias=True)`.
    """

    attention: Callable[[Dims], Attention]
    feed_forward: Callable[[Dims], FeedForward]
    norm: Callable[[Dims], Norm]


class Block(nn.Module, ABC):
    """Wires attention, feed-forward and norms onto the residual stream."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__()

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the residual stream after this block."""

    def new_cache(self, batch_size: int, length: int) -> LayerCache:
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
        return attentions[0].new_cache(batch_size, length)
