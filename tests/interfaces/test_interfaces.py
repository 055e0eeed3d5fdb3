"""Interfaces: what every part of a kind may rely on, and what it must define."""

import inspect
import re
from dataclasses import FrozenInstanceError

import pytest
import torch
from torch import Tensor, nn

from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import KINDS, AttentionContext, Block, Dims, LayerCache, Position, Tolerance

DIMS = Dims(n_layer=1, n_head=2, n_embd=8, block_size=4, vocab_size=5)


def dims(n_embd: int, n_head: int) -> Dims:
    return Dims(n_layer=1, n_head=n_head, n_embd=n_embd, block_size=4, vocab_size=5)


def test_the_kinds_are_the_nine_interfaces_by_the_names_that_recipes_use() -> None:
    assert {kind: interface.__name__ for kind, interface in KINDS.items()} == {
        "attention": "Attention",
        "feed_forward": "FeedForward",
        "norm": "Norm",
        "position": "Position",
        "block": "Block",
        "tokenizer": "Tokenizer",
        "corpus": "Corpus",
        "optimizer": "Optimizer",
        "schedule": "Schedule",
    }


@pytest.mark.parametrize(
    ("kind", "asked"),
    {
        "attention": ["forward", "new_cache"],
        "feed_forward": ["forward"],
        "norm": ["forward"],
        "position": [],
        "block": ["forward"],
        "tokenizer": ["decode", "encode", "from_json", "to_json", "vocab_size"],
        "corpus": ["train", "validation"],
        "optimizer": ["build"],
        "schedule": ["__call__"],
    }.items(),
)
def test_an_interface_asks_for_no_more_than_it_says(kind: str, asked: list[str]) -> None:
    abstract: frozenset[str] = getattr(KINDS[kind], "__abstractmethods__", frozenset())
    assert sorted(abstract) == asked


@pytest.mark.parametrize("kind", KINDS)
def test_every_method_of_an_interface_is_documented(kind: str) -> None:
    public = [name for name in vars(KINDS[kind]) if not name.startswith("_")]
    assert [name for name in public if not inspect.getdoc(getattr(KINDS[kind], name))] == []


def test_dims_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        DIMS.n_layer = 2  # type: ignore[misc]


def test_the_head_width_is_the_channels_of_one_head() -> None:
    assert dims(n_embd=384, n_head=6).head_width == 64


@pytest.mark.parametrize(
    ("n_embd", "n_head", "message"),
    [
        (
            10,
            3,
            "n_embd = 10 is not divisible by n_head = 3: the nearest width that is would be 9 or 12",
        ),
        (
            2,
            3,
            "n_embd = 2 is not divisible by n_head = 3: the nearest width that is would be 3",
        ),
    ],
)
def test_heads_that_do_not_divide_the_channels_are_an_error(n_embd: int, n_head: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        dims(n_embd, n_head)


def test_a_place_of_nothing_leaves_queries_keys_and_values_as_they_are() -> None:
    q, k, v = torch.randn(3, 1, 2, 4, 4)
    ctx = AttentionContext()
    assert ctx.rotate(q, k) == (q, k)
    assert ctx.update(k, v) == (k, v)


def test_a_position_need_define_nothing() -> None:
    class Silent(Position):
        pass

    x, q = torch.randn(1, 4, 8), torch.randn(1, 2, 4, 4)
    assert Silent(DIMS).embed(x, 0) is x
    assert AttentionContext(position=Silent(DIMS)).rotate(q, q) == (q, q)


class SeveralAttentions(Block):
    """A block of any number of attentions."""

    def __init__(self, n: int) -> None:
        nn.Module.__init__(self)
        self.attentions = nn.ModuleList(NaiveAttention(DIMS) for _ in range(n))

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return x


def test_a_block_remembers_what_its_one_attention_does() -> None:
    cache = SeveralAttentions(1).new_cache(batch_size=3, length=4)
    k = torch.ones(3, 2, 1, 4)
    assert AttentionContext(cache=cache).update(k, k)[0].shape == (3, 2, 4, 4)


def test_a_cache_without_keys_is_not_given_any() -> None:
    class StateCache(LayerCache):
        pass

    k = torch.ones(3, 2, 1, 4)
    message = (
        "ctx.update stores keys and values, and StateCache is no KeyValueCache: inherit that, or read and write "
        "the cache's own tensors"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        AttentionContext(cache=StateCache()).update(k, k)


@pytest.mark.parametrize("n", [0, 2])
def test_a_block_without_exactly_one_attention_must_say_what_it_remembers(n: int) -> None:
    expected = f"SeveralAttentions holds {n} attentions: override new_cache to say what it caches"
    with pytest.raises(NotImplementedError, match=expected):
        SeveralAttentions(n).new_cache(batch_size=1, length=4)


@pytest.mark.parametrize("share", [-0.01, 0.51, float("nan")])
def test_a_tolerance_that_says_nothing_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=rf"^tolerance cached = {share}: a departure is a share from 0 to 0\.5$"):
        Tolerance(cached=share)
