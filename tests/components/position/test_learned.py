"""Learned positions."""

import torch

from gptkit.components.position.learned import LearnedPosition
from gptkit.interfaces import Dims

DIMS = Dims(n_layer=1, n_head=2, n_embd=6, block_size=9, vocab_size=7)


def test_a_row_of_the_table_is_added_for_each_position() -> None:
    position, x = LearnedPosition(DIMS), torch.randn(2, 4, 6)
    assert position.table.weight.shape == (9, 6)
    assert torch.equal(position.embed(x, 5), x + position.table.weight[5:9])


def test_the_first_position_may_be_on_the_device() -> None:
    position, x = LearnedPosition(DIMS), torch.randn(2, 4, 6)
    assert torch.equal(position.embed(x, torch.tensor(5)), position.embed(x, 5))


def test_the_rows_in_use_are_those_that_learn() -> None:
    position = LearnedPosition(DIMS)
    position.embed(torch.randn(2, 3, 6), 4).sum().backward()
    assert position.table.weight.grad is not None
    assert position.table.weight.grad[:, 0].tolist() == [0, 0, 0, 0, 2, 2, 2, 0, 0]


def test_queries_and_keys_are_left_as_they_are() -> None:
    q, k = torch.randn(2, 1, 2, 4, 3)
    assert LearnedPosition(DIMS).rotate(q, k, 3) == (q, k)
