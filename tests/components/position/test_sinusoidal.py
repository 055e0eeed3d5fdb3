"""Sinusoidal positions."""

import math

import pytest
import torch

from gptkit.components.position.sinusoidal import SinusoidalPosition
from gptkit.interfaces import Dims

BLOCK_SIZE = 11


@pytest.mark.parametrize("n_embd", [1, 5, 6])
def test_a_sine_and_a_cosine_of_each_wavelength_are_added(n_embd: int) -> None:
    position = SinusoidalPosition(Dims(n_layer=1, n_head=1, n_embd=n_embd, block_size=BLOCK_SIZE, vocab_size=7))
    x = torch.randn(2, 4, n_embd)
    expected = torch.tensor(
        [
            [(math.sin, math.cos)[c % 2](t / 10_000 ** (2 * (c // 2) / n_embd)) for c in range(n_embd)]
            for t in range(BLOCK_SIZE)
        ]
    )
    torch.testing.assert_close(position.embed(x, 0), x + expected[:4])
    torch.testing.assert_close(position.embed(x, 7), x + expected[7:])
    assert torch.equal(position.embed(x, torch.tensor(7)), position.embed(x, 7))


def test_there_is_nothing_to_learn_or_to_save() -> None:
    position = SinusoidalPosition(Dims(n_layer=1, n_head=1, n_embd=4, block_size=BLOCK_SIZE, vocab_size=7))
    assert list(position.parameters()) == []
    assert position.state_dict() == {}


def test_queries_and_keys_are_left_as_they_are() -> None:
    position = SinusoidalPosition(Dims(n_layer=1, n_head=2, n_embd=6, block_size=BLOCK_SIZE, vocab_size=7))
    q, k = torch.randn(2, 1, 2, 4, 3)
    assert position.rotate(q, k, 3) == (q, k)
