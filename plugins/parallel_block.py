"""A block whose attention and feed-forward read the same input, as in GPT-J and PaLM."""

from jaxtyping import Float
from torch import Tensor

import gptkit
from gptkit.hookspecs import Register
from gptkit.interfaces import AttentionContext, Block, BlockParts, Dims


class ParallelBlock(Block):
    """Attention and feed-forward side by side on one norm, both added to the residual stream.

    Source:
        Wang and Komatsuzaki 2021, https://github.com/kingoflolz/mesh-transformer-jax.
    """

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.norm = parts.norm(dims)
        self.attention = parts.attention(dims)
        self.feed_forward = parts.feed_forward(dims)

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the residual stream after this block."""
        y = self.norm(x)
        return x + self.attention(y, ctx) + self.feed_forward(y)


@gptkit.hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `parallel`."""
    register("parallel", ParallelBlock)
