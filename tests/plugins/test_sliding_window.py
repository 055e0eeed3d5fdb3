"""A window of positions, against means worked out by hand."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gptkit.interfaces import AttentionContext, Dims
from gptkit.registry.loader import import_file

PLUGIN: Any = import_file(Path(__file__).parents[2] / "plugins" / "sliding_window.py")


def mean_of_window(window: int, block_size: int = 8) -> Any:
    """Return an attention of one channel that weighs all that it sees alike, and passes values on as they are."""
    dims = Dims(n_layer=1, n_head=1, n_embd=1, block_size=block_size, vocab_size=7)
    part = PLUGIN.SlidingWindowAttention(dims, window=window)
    with torch.no_grad():
        part.qkv.weight.copy_(torch.tensor([[0.0], [0.0], [1.0]]))
        part.out.weight.fill_(1)
    return part


def outputs(part: Any, values: list[float], ctx: AttentionContext = AttentionContext()) -> list[float]:
    with torch.no_grad():
        y: Tensor = part(torch.tensor(values)[None, :, None], ctx)
    found: list[float] = y.flatten().tolist()
    return found


def test_each_position_sees_itself_and_those_just_before() -> None:
    # Five positions are a whole chunk of three and a part of one.
    assert outputs(mean_of_window(3), [6.0, 12.0, 18.0, 0.0, 30.0]) == pytest.approx([6, 9, 12, 10, 16])
    assert outputs(mean_of_window(1), [6.0, 12.0, 18.0]) == pytest.approx([6, 12, 18])
    assert outputs(mean_of_window(8), [6.0, 12.0, 18.0]) == pytest.approx([6, 9, 12])


def test_what_is_hidden_in_a_window_does_not_count() -> None:
    # A second text starts at position 2.
    text = torch.tensor([0, 0, 1, 1, 1])
    ctx = AttentionContext(attn_mask=text == text[:, None])
    assert outputs(mean_of_window(3), [6.0, 12.0, 18.0, 0.0, 30.0], ctx) == pytest.approx([6, 9, 18, 9, 16])


def test_the_ring_keeps_one_window() -> None:
    part = mean_of_window(3)
    cache = part.new_cache(1, 8)
    slots = torch.arange(8)
    found = []
    # One pass longer than the ring, one of a token, one across its end.
    for start_pos, values in ((0, [6.0, 12.0, 18.0, 0.0]), (4, [30.0]), (5, [3.0, 9.0])):
        attn_mask = slots <= slots[start_pos : start_pos + len(values), None]
        found += outputs(part, values, AttentionContext(torch.tensor(start_pos), None, cache, attn_mask))
    assert found == pytest.approx([6, 9, 12, 10, 16, 11, 14])
    # Position 6 lies in slot 0, and 4 and 5 in the others.
    assert cache.values.flatten().tolist() == [9, 30, 3]


def test_what_is_hidden_behind_a_ring_is_found_by_its_position() -> None:
    part = mean_of_window(3)
    cache = part.new_cache(1, 8)
    outputs(part, [6.0, 12.0, 18.0, 0.0], AttentionContext(0, None, cache))
    attn_mask = torch.ones(1, 8, dtype=torch.bool)
    attn_mask[0, 3] = False
    assert outputs(part, [30.0], AttentionContext(4, None, cache, attn_mask)) == pytest.approx([(18 + 30) / 2])


def test_a_window_wider_than_the_context_is_refused() -> None:
    message = (
        "window = 9 is wider than the context, block_size = 8: take at most 8, or an attention that sees the "
        "whole context, such as 'sdpa'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        mean_of_window(9)
