"""The causal rule, and what all softmax attentions share."""

import pytest
import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.position.rope import RopePosition
from gptkit.interfaces import AttentionContext, Dims
from gptkit.nn import KVCache, SoftmaxAttention, causal_mask
from gptkit.nn.dropout import dropout
from gptkit.testing.case import Case

DIMS = Dims(n_layer=1, n_head=2, n_embd=8, block_size=9, vocab_size=7, dropout=0.5)


class TellingAttention(SoftmaxAttention):
    """Returns the values, and keeps what it was asked."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        self.asked = q, k, v, attn_mask
        return v


@pytest.mark.parametrize(
    ("T", "S", "expected"),
    [
        (1, 1, [[1]]),
        (3, 3, [[1, 0, 0], [1, 1, 0], [1, 1, 1]]),
        (2, 4, [[1, 1, 1, 0], [1, 1, 1, 1]]),
        (1, 3, [[1, 1, 1]]),
    ],
)
def test_the_causal_rule_is_aligned_bottom_right(T: int, S: int, expected: list[list[int]]) -> None:
    attn_mask = causal_mask(torch.zeros(2, 1, T, 4), torch.zeros(2, 1, S, 4))
    assert attn_mask.dtype == torch.bool
    assert attn_mask.int().tolist() == expected


def test_the_projection_is_packed_as_queries_keys_values_each_head_by_head() -> None:
    attention, x = TellingAttention(DIMS).eval(), torch.randn(3, 5, 8)
    y = attention(x)
    q, k, v, attn_mask = attention.asked
    queries, keys, values = (x @ attention.qkv.weight.T).split(8, dim=2)
    torch.testing.assert_close(q[:, 1], queries[:, :, 4:])
    torch.testing.assert_close(k[:, 0], keys[:, :, :4])
    torch.testing.assert_close(v[:, 1], values[:, :, 4:])
    assert attn_mask is None
    torch.testing.assert_close(y, attention.out(values))


def test_what_the_place_says_reaches_attend() -> None:
    attention, attn_mask = TellingAttention(DIMS), torch.ones(1, 9, dtype=torch.bool)
    cache = attention.new_cache(3, 9)
    with torch.no_grad():
        attention(torch.randn(3, 9, 8), AttentionContext(0, None, cache, attn_mask))
    _, k, v, asked_visible = attention.asked
    assert k is cache.keys
    assert v is cache.values
    assert asked_visible is attn_mask


def test_queries_and_keys_are_turned_before_keys_are_remembered() -> None:
    attention, x = TellingAttention(DIMS), torch.randn(3, 9, 8)
    attention(x)
    q, k, v, _ = attention.asked
    rope, cache = RopePosition(DIMS), attention.new_cache(3, 9)
    with torch.no_grad():
        attention(x, AttentionContext(0, rope, cache))
    found_q, found_k, found_v, _ = attention.asked
    turned_q, turned_k = rope.rotate(q, k, 0)
    torch.testing.assert_close(found_q, turned_q)
    torch.testing.assert_close(found_k, turned_k)
    torch.testing.assert_close(found_v, v)


def test_a_new_memory_is_an_empty_cache_like_the_weights() -> None:
    cache = NaiveAttention(DIMS).bfloat16().new_cache(3, 9)
    assert isinstance(cache, KVCache)
    assert cache.keys.shape == cache.values.shape == (3, 2, 9, 4)
    assert cache.keys.dtype == cache.values.dtype == torch.bfloat16
    assert not cache.keys.any()
    assert not cache.values.any()


@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.parametrize("out_bias", [False, True])
def test_the_biases_are_options(qkv_bias: bool, out_bias: bool) -> None:
    attention = NaiveAttention(DIMS, qkv_bias=qkv_bias, out_bias=out_bias)
    assert (attention.qkv.bias is not None, attention.out.bias is not None) == (qkv_bias, out_bias)


def test_queries_and_keys_are_normalised_before_they_are_turned_and_remembered() -> None:
    plain, normed = TellingAttention(DIMS), TellingAttention(DIMS, qk_norm=True)
    normed.load_state_dict(plain.state_dict(), strict=False)
    assert normed.q_norm is not None
    assert normed.k_norm is not None
    gain = torch.tensor([1.0, 2.0, 3.0, 4.0])
    normed.q_norm.weight.data, normed.k_norm.weight.data = gain, -gain
    x, rope, cache = torch.randn(3, 9, 8), RopePosition(DIMS), normed.new_cache(3, 9)
    plain(x)
    q, k, v, _ = plain.asked
    with torch.no_grad():
        normed(x, AttentionContext(0, rope, cache))
    found_q, found_k, found_v, _ = normed.asked
    q, k = (gain * y / y.square().mean(dim=-1, keepdim=True).add(1e-6).sqrt() for y in (q, -k))
    q, k = rope.rotate(q, k, 0)
    torch.testing.assert_close(found_q, q)
    torch.testing.assert_close(found_k, k)
    torch.testing.assert_close(found_v, v)
    torch.testing.assert_close(cache.keys, found_k)


def test_normalised_queries_have_the_values_precision() -> None:
    attention = TellingAttention(DIMS, qk_norm=True)
    with torch.autocast("cpu", torch.bfloat16):
        attention(torch.randn(3, 9, 8))
    assert [each.dtype for each in attention.asked[:3]] == [torch.bfloat16] * 3


def test_the_biases_of_the_user_s_model() -> None:
    assert list(NaiveAttention(DIMS).state_dict()) == ["qkv.weight", "out.weight", "out.bias"]


def test_the_weights_of_each_head_are_dropped_by_pytorchs_seed() -> None:
    q, k, v = torch.randn(3, 2, 2, 9, 4)
    torch.manual_seed(3)
    found = NaiveAttention(DIMS).train().attend(q, k, v)
    torch.manual_seed(3)
    NaiveAttention(DIMS)
    for h in range(2):
        scores = q[:, h] @ k[:, h].mT / 2
        weights = scores.masked_fill(~causal_mask(q, k), -torch.inf).softmax(dim=-1)
        assert torch.equal(found[:, h], dropout(weights, 0.5, training=True) @ v[:, h])


def test_kernels_are_given_the_rate_of_the_dropout_module() -> None:
    attention = TellingAttention(DIMS)
    attention.attn_dropout.p = 0.25
    assert attention.dropout == 0.25


def test_dropout_acts_on_the_output_projection_too() -> None:
    attention = TellingAttention(DIMS)
    torch.manual_seed(0)
    dropped = attention(torch.randn(20, 50, 8)) == 0
    assert dropped.float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_case_has_a_context_beyond_its_keys() -> None:
    assert Case(T=3, earlier=2).dims().block_size > 5
