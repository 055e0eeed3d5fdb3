"""Rotary positions."""

import math
import re

import pytest
import torch
from hypothesis import given, strategies as st

from gptkit.components.position.rope import RopePosition
from gptkit.interfaces import Dims

BLOCK_SIZE = 64


def dims(head_width: int) -> Dims:
    return Dims(n_layer=1, n_head=2, n_embd=2 * head_width, block_size=BLOCK_SIZE, vocab_size=7)


@given(
    width=st.sampled_from((2, 4, 8, 16)),
    query=st.integers(0, BLOCK_SIZE - 1),
    key=st.integers(0, BLOCK_SIZE - 1),
    shift=st.integers(0, BLOCK_SIZE - 1),
    seed=st.integers(0, 1000),
)
def test_a_score_depends_on_the_distance_alone(width: int, query: int, key: int, shift: int, seed: int) -> None:
    shift = min(shift, BLOCK_SIZE - 1 - max(query, key))
    rope = RopePosition(dims(width))
    q, k = torch.randn(2, 1, 2, 1, width, generator=torch.Generator().manual_seed(seed))

    def score(query: int, key: int) -> torch.Tensor:
        return (rope.rotate(q, q, query)[0] * rope.rotate(k, k, key)[1]).sum(dim=-1)

    torch.testing.assert_close(score(query + shift, key + shift), score(query, key), rtol=1e-4, atol=1e-4)


def test_a_score_does_depend_on_the_distance() -> None:
    rope, q = RopePosition(dims(8)), torch.ones(1, 2, 1, 8)
    near, far = ((q * rope.rotate(q, q, key)[1]).sum() for key in (1, 2))
    assert near > far


def test_position_0_is_left_as_it_is() -> None:
    rope = RopePosition(dims(8))
    q, k = torch.randn(2, 3, 2, 1, 8)
    found_q, found_k = rope.rotate(q, k, 0)
    assert torch.equal(found_q, q)
    assert torch.equal(found_k, k)


def test_turning_keeps_the_length() -> None:
    q = torch.randn(3, 2, 5, 8)
    turned, _ = RopePosition(dims(8)).rotate(q, q, 7)
    torch.testing.assert_close(turned.norm(dim=-1), q.norm(dim=-1))


def test_channel_i_turns_with_the_one_half_a_width_further_by_theta_to_minus_2i_over_width() -> None:
    q = torch.zeros(1, 1, 1, 4)
    q[..., 0], q[..., 1] = 1, 2
    turned, _ = RopePosition(dims(4), theta=100.0).rotate(q, q, 3)
    expected = [math.cos(3), 2 * math.cos(0.3), math.sin(3), 2 * math.sin(0.3)]
    torch.testing.assert_close(turned.flatten(), torch.tensor(expected))


def test_embeddings_are_left_as_they_are() -> None:
    x = torch.randn(2, 5, 16)
    assert torch.equal(RopePosition(dims(8)).embed(x, 3), x)


def test_a_checkpoint_holds_nothing_of_it() -> None:
    assert RopePosition(dims(8)).state_dict() == {}


def test_an_odd_head_width_is_an_error() -> None:
    text = "rope rotates channels in pairs and needs an even head width, found 5 (n_embd 10 / n_head 2)"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        RopePosition(dims(5))
