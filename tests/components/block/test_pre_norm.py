"""The block of GPT-2, and the memory that a block makes unless it says otherwise."""

import pytest
import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.interfaces import AttentionContext, Block, BlockParts, Dims
from gptkit.nn import KVCache
from gptkit.testing.case import Case

CASE = Case(B=3, H=2, T=5, D=4)


PARTS = BlockParts(NaiveAttention, GeluFeedForward, LayerNorm)


class TwoAttentionsBlock(Block):
    """A block that does not say what it remembers."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.first, self.second = parts.attention(dims), parts.attention(dims)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return self.second(self.first(x, ctx), ctx)


def test_each_part_works_on_a_normalised_copy_of_the_residual_stream() -> None:
    block, x = CASE.build(lambda dims: PreNormBlock(dims, PARTS)), CASE.x()
    between = x + block.attention(block.norm_1(x))
    torch.testing.assert_close(block(x), between + block.feed_forward(block.norm_2(between)))


def test_the_place_reaches_the_attention() -> None:
    block, x = CASE.build(lambda dims: PreNormBlock(dims, PARTS)), CASE.x()
    alone = AttentionContext(attn_mask=torch.eye(CASE.T, dtype=torch.bool))
    single = torch.cat([block(x[:, t : t + 1]) for t in range(CASE.T)], dim=1)
    torch.testing.assert_close(block(x, alone), single)


def test_its_memory_is_that_of_its_attention() -> None:
    cache = CASE.build(lambda dims: PreNormBlock(dims, PARTS)).new_cache(3, 9)
    assert isinstance(cache, KVCache)
    assert cache.keys.shape == cache.values.shape == (3, 2, 9, 4)
    assert cache.keys.dtype == torch.float64


def test_a_block_of_two_attentions_must_say_what_it_remembers() -> None:
    block = CASE.build(lambda dims: TwoAttentionsBlock(dims, PARTS))
    text = "TwoAttentionsBlock holds 2 attentions: override new_cache to say what it caches"
    with pytest.raises(NotImplementedError, match=f"^{text}$"):
        block.new_cache(1, 8)
