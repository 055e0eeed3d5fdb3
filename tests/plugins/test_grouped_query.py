"""Heads of queries that share keys and values, against values worked out by hand."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import Dims
from gptkit.registry.loader import import_file

PLUGIN: Any = import_file(Path(__file__).parents[2] / "plugins" / "grouped_query.py")
DIMS = Dims(n_layer=1, n_head=4, n_embd=4, block_size=8, vocab_size=7)


def test_the_first_queries_share_the_first_key() -> None:
    part = PLUGIN.GroupedQueryAttention(DIMS, kv_heads=2)
    with torch.no_grad():
        part.qkv.weight.zero_()
        # Queries and keys read channel 0, the two values channels 2 and 3.
        part.qkv.weight[:6, 0] = torch.tensor([0, math.log(2), 0, math.log(2), 1, 1])
        part.qkv.weight[6, 2] = part.qkv.weight[7, 3] = 1
        part.out.weight.copy_(torch.eye(4))
        y = part(torch.tensor([[[0.0, 0.0, 3.0, 30.0], [1.0, 0.0, 9.0, 60.0]]]))
    assert y[0, 0].tolist() == pytest.approx([3, 3, 30, 30])
    # Heads 0 and 2 weigh both positions alike, heads 1 and 3 the later one twice.
    assert y[0, 1].tolist() == pytest.approx([6, 7, 45, 50])


def test_with_as_many_heads_it_has_the_weights_and_the_output_of_naive() -> None:
    part, naive = PLUGIN.GroupedQueryAttention(DIMS, kv_heads=4), NaiveAttention(DIMS)
    naive.load_state_dict(part.state_dict())
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(part(x), naive(x))


def test_the_cache_is_as_small_as_the_keys() -> None:
    part = PLUGIN.GroupedQueryAttention(DIMS, kv_heads=2)
    assert part.new_cache(3, 8).keys.shape == (3, 2, 8, 1)


def test_heads_that_do_not_divide_are_refused() -> None:
    message = "kv_heads = 3 does not divide n_head = 4: take one of 1, 2, 4"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        PLUGIN.GroupedQueryAttention(DIMS, kv_heads=3)
