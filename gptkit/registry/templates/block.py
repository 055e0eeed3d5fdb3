"""A block to start from: a norm before each part, and one after it."""

from jaxtyping import Float
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import AttentionContext, Block, BlockParts, Dims


class MineBlock(Block):
    """Communicate, then compute, each on a normalised copy of the residual stream and normalised again.

    Change: how many parts there are and how they are wired: each call of `parts` makes a new one, as the recipe
    chose it. Options are keyword-only, annotated parameters of the constructor. A block with another number of
    attentions than one also overrides `new_cache`.

    Promised: the attention is handed `ctx`, so that a cache changes nothing; batch rows do not see one another.

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
