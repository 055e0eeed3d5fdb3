"""A block to start from: a norm before and after each part."""

from jaxtyping import Float
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import AttentionContext, Block, BlockParts, Dims


class MineBlock(Block):
    """Attention, then feed-forward, each with a norm before and after it, added to the residual stream.

    Change: which parts there are and how they are wired. Each call of a field of `parts` builds a new part, as the
    recipe chose it. Your own options are keyword-only, annotated parameters of the constructor. A block with no
    attention, or with several, also overrides `new_cache`.

    Promised: `ctx` is passed to the attention, so that generating with a cache gives the same text; rows of a
    batch do not affect each other.

    Source:
        Ding et al. 2021, arXiv:2105.13290 (Sandwich-LN).
    """

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.norm_1 = parts.norm(dims)
        self.attention = parts.attention(dims)
        self.norm_2 = parts.norm(dims)
        self.norm_3 = parts.norm(dims)
        self.feed_forward = parts.feed_forward(dims)
        self.norm_4 = parts.norm(dims)

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the residual stream after this block."""
        x = x + self.norm_2(self.attention(self.norm_1(x), ctx))
        return x + self.norm_4(self.feed_forward(self.norm_3(x)))


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineBlock)
