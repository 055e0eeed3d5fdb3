"""Linear biases, against the formula written out."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from gptkit.components.position.rope import RopePosition
from gptkit.interfaces import AttentionContext, Dims
from gptkit.registry.loader import import_file

PLUGIN: Any = import_file(Path(__file__).parents[2] / "plugins" / "alibi.py")
DIMS = Dims(n_layer=1, n_head=4, n_embd=8, block_size=8, vocab_size=7)


def test_scores_fall_by_a_slope_for_each_head() -> None:
    part = PLUGIN.AlibiAttention(DIMS, out_bias=False).double()
    with torch.no_grad():
        part.out.weight.copy_(torch.eye(8))
    x = 9 * torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0)).double()
    found, projected = part(x), part.qkv(x)[0]
    for head, slope in enumerate((1 / 4, 1 / 16, 1 / 64, 1 / 256)):
        q, k, v = (projected[:, start + 2 * head : start + 2 * head + 2] for start in (0, 8, 16))
        for i in (0, 4):
            distance = i - torch.arange(i + 1)
            scores = k[: i + 1] @ q[i] / math.sqrt(2) - slope * distance
            expected = scores.softmax(0) @ v[: i + 1]
            torch.testing.assert_close(found[0, i, 2 * head : 2 * head + 2], expected)


def test_a_position_that_rotates_is_refused() -> None:
    message = (
        "RopePosition rotates queries and keys, and ALiBi tells positions by its biases alone: choose position = "
        "'none', or another attention, such as 'sdpa'"
    )
    with pytest.raises(NotImplementedError, match=f"^{re.escape(message)}$"):
        PLUGIN.AlibiAttention(DIMS)(torch.zeros(1, 2, 8), AttentionContext(position=RopePosition(DIMS)))
