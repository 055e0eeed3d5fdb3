"""Block: one layer of the model."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from gptkit.interfaces.attention import Attention, AttentionContext, LayerCache
from gptkit.interfaces.dims import Dims
from gptkit.interfaces.feed_forward import FeedForward
from gptkit.interfaces.norm import Norm


@dataclass(frozen=True)
class BlockParts:
    """Builds the parts of a block. Each field is a class or a function of `Dims`; each call builds a new part.

    Args:
        attention: For example `SdpaAttention`, or `partial(SdpaAttention, qkv_bias=True)`.
    """

    attention: Callable[[Dims], Attention]
    feed_forward: Callable[[Dims], FeedForward]
    norm: Callable[[Dims], Norm]


class Block(nn.Module, ABC):
    """Wires attention, feed-forward and norms onto the residual stream.

    Args:
        parts: Builds as many parts as the block needs.
    """

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__()

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the residual stream after this block. Passes `ctx` to its attention."""

    def new_cache(self, batch_size: int, length: int) -> LayerCache:
        """Return an empty cache for this block's attention. A block with several attentions overrides this.

        Raises:
            NotImplementedError: If the block does not hold exactly one attention.
        """
        attentions = [module for module in self.modules() if isinstance(module, Attention)]
        if len(attentions) != 1:
            raise NotImplementedError(
                f"{type(self).__name__} holds {len(attentions)} attentions: override new_cache to say what it "
                "caches"
            )
        return attentions[0].new_cache(batch_size, length)
