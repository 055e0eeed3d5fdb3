from jaxtyping import Float
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import AttentionContext, Block, BlockParts, Dims


class PreNormBlock(Block):
    """GPT-2's block: attention, then feed-forward, each behind a norm and added to the residual stream.

    Source:
        Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
    """

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.norm_1 = parts.norm(dims)
        self.attention = parts.attention(dims)
        self.norm_2 = parts.norm(dims)
        self.feed_forward = parts.feed_forward(dims)

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the residual stream after this block."""
        x = x + self.attention(self.norm_1(x), ctx)
        return x + self.feed_forward(self.norm_2(x))


@hookimpl
def gptkit_register(register: Register) -> None:
    register("pre_norm", PreNormBlock)
