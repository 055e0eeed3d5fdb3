"""FlexAttention, against sums written out, and what it refuses."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from gptkit.interfaces import Dims
from gptkit.registry.loader import import_file

PLUGIN: Any = import_file(Path(__file__).parents[2] / "plugins" / "flex.py")


def dims(dropout: float = 0.0) -> Dims:
    return Dims(n_layer=1, n_head=1, n_embd=1, block_size=8, vocab_size=7, dropout=dropout)


def test_two_queries_and_three_keys() -> None:
    q = torch.tensor([[[[0.0], [math.log(2)]]]], requires_grad=True)
    k = torch.tensor([[[[1.0], [2.0], [0.0]]]])
    v = torch.tensor([[[[7.0], [14.0], [28.0]]]], requires_grad=True)
    y = PLUGIN.FlexAttention(dims()).attend(q, k, v)
    # The first query weighs two keys alike; the second weighs three, by 2, 4 and 1.
    assert y.flatten().tolist() == pytest.approx([10.5, (2 * 7 + 4 * 14 + 28) / 7])
    y.sum().backward()
    assert v.grad is not None
    assert v.grad.flatten().tolist() == pytest.approx([1 / 2 + 2 / 7, 1 / 2 + 4 / 7, 1 / 7])
    # A query's gradient is how keys and values vary together under its weights: means of k·v less those of each.
    assert q.grad is not None
    second = (2 * 7 + 4 * 28) / 7 - (2 + 8) / 7 * (2 * 7 + 4 * 14 + 28) / 7
    assert q.grad.flatten().tolist() == pytest.approx([(7 + 28) / 2 - 1.5 * 10.5, second], rel=1e-5)


def test_dropout_is_refused() -> None:
    message = (
        "dropout = 0.1, but FlexAttention cannot drop attention weights: set dropout = 0, or choose another "
        "attention, such as 'sdpa'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        PLUGIN.FlexAttention(dims(dropout=0.1))
