"""The block of GPT-2, and the memory that a block makes unless it says otherwise."""

import pytest
import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.interfaces import Block, Dims, Parts, Place
from gptkit.kv_cache import KVCache
from gptkit.testing.case import Case
from gptkit.testing.parts import GivenParts

CASE = Case(B=3, H=2, T=5, D=4)


def parts(dims: Dims) -> Parts:
    return GivenParts(dims, NaiveAttention, GeluFeedForward, LayerNorm)


class TwoAttentionsBlock(Block):
    """A block that does not say what it remembers."""

    def __init__(self, dims: Dims, parts: Parts) -> None:
        super().__init__(dims, parts)
        self.first, self.second = parts.attention(), parts.attention()

    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return self.second(self.first(x, at), at)


def test_each_part_works_on_a_normalised_copy_of_the_residual_stream() -> None:
    block, x = CASE.build(lambda dims: PreNormBlock(dims, parts(dims))), CASE.x()
    between = x + block.attention(block.norm_1(x))
    torch.testing.assert_close(block(x), between + block.feed_forward(block.norm_2(between)))


def test_the_place_reaches_the_attention() -> None:
    block, x = CASE.build(lambda dims: PreNormBlock(dims, parts(dims))), CASE.x()
    alone = Place(visible=torch.eye(CASE.T, dtype=torch.bool))
    single = torch.cat([block(x[:, t : t + 1]) for t in range(CASE.T)], dim=1)
    torch.testing.assert_close(block(x, alone), single)


def test_its_memory_is_that_of_its_attention() -> None:
    memory = CASE.build(lambda dims: PreNormBlock(dims, parts(dims))).new_memory(3, 9)
    assert isinstance(memory, KVCache)
    assert memory.keys.shape == memory.values.shape == (3, 2, 9, 4)
    assert memory.keys.dtype == torch.float64


def test_a_block_of_two_attentions_must_say_what_it_remembers() -> None:
    block = CASE.build(lambda dims: TwoAttentionsBlock(dims, parts(dims)))
    text = "TwoAttentionsBlock holds 2 attentions: override new_memory to say what it remembers"
    with pytest.raises(NotImplementedError, match=f"^{text}$"):
        block.new_memory(1, 8)
