"""Laws of `attend`, for every softmax attention. They need no reference."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gptkit.nn import SoftmaxAttention, causal_mask
from gptkit.testing.accuracy import assert_equal, assert_same
from gptkit.testing.case import Build, Case

BROADCASTABLE = ("S", "1 S", "T S", "B 1 1 S", "B 1 T S", "1 H T S", "B H T S")


def sees_up_to_itself(build: Build[SoftmaxAttention], case: Case) -> None:
    """Assert that each query attends to every key up to its own position and to no later one."""
    case = one_channel_a_key(case)
    weights = weights_of(case.build(build), case)
    keys = torch.arange(case.S, device=case.device)
    expected = (keys <= keys[case.earlier :, None]).expand_as(weights)
    if (wrong := (weights != 0) != expected).any():
        b, h, i, j = wrong.nonzero()[0].tolist()
        sees = "does not see" if expected[b, h, i, j] else "sees"
        raise AssertionError(f"query {i} {sees} key {j}: the last key it may see is {case.earlier + i} ({case})")


def one_channel_a_key(case: Case) -> Case:
    """Return the case with one channel for each key, at a scale at which no weight underflows."""
    return replace(case, D=case.S, scale=min(case.scale, 1.0))


def weights_of(attention: SoftmaxAttention, case: Case) -> Float[Tensor, "B H T S"]:
    """Return the attention weights, in a case that has one channel for each key."""
    q, k, _ = case.qkv()
    # With unit vectors as values, the output is the weights.
    units = torch.eye(case.S, dtype=case.dtype, device=case.device)
    return attention.attend(q, k, units.expand_as(k))


def constant_values_come_back(build: Build[SoftmaxAttention], case: Case) -> None:
    """Assert that attending to constant values returns that value: the weights of a query sum to 1."""
    q, k, _ = case.qkv()
    v = case.scale * case.draw("constant", case.B, case.H, 1, case.D)
    found = case.build(build).attend(q, k, v.expand_as(k), case.attn_mask())
    assert_equal(found, v.expand_as(q), "the output for constant values", case)


def attend_honours_attn_mask(build: Build[SoftmaxAttention], case: Case) -> None:
    """Assert that a masked key has no effect, and `attn_mask=None` means the causal mask."""
    attention, (q, k, v) = case.build(build), case.qkv()
    found = attention.attend(q, k, v, causal_mask(q, k))
    assert_equal(found, attention.attend(q, k, v), "the output when `attn_mask` is the causal mask", case)
    keys = case.draw_mask("S")
    all_of_them = torch.ones(1, 1, dtype=torch.bool, device=case.device)
    expected = attention.attend(q, k[:, :, keys], v[:, :, keys], all_of_them)
    found = attention.attend(q, k, v, keys)
    assert_equal(
        found, expected, f"the output when `attn_mask` shows only keys {keys.nonzero()[:, 0].tolist()}", case
    )


def broadcasts_attn_mask(build: Build[SoftmaxAttention], case: Case) -> None:
    """Assert that `attn_mask` broadcasts: it may lack leading axes or have axes of length 1."""
    attention, (q, k, v) = case.build(build), case.qkv()
    for axes in BROADCASTABLE:
        attn_mask = case.draw_mask(axes)
        whole = attn_mask.expand(case.B, case.H, case.T, case.S).contiguous()
        found, expected = attention.attend(q, k, v, attn_mask), attention.attend(q, k, v, whole)
        assert_equal(found, expected, f"the output when `attn_mask` has axes {axes}", case)


def attend_mutates_nothing(build: Build[SoftmaxAttention], case: Case) -> None:
    """Assert that `attend` does not modify its queries, keys, values and mask."""
    given, attn_mask = case.qkv(), case.attn_mask()
    case.build(build).attend(*given, attn_mask)
    for name, found, expected in zip("qkv", given, case.qkv(), strict=True):
        assert_same(found, expected, f"{name} after `attend`", case)
    if attn_mask is not None and not attn_mask.equal(case.draw_mask(str(case.mask_axes))):
        raise AssertionError(f"`attend` modifies `attn_mask` ({case})")


def attend_forgets(build: Build[SoftmaxAttention], case: Case) -> None:
    """Assert that `attend` does not depend on earlier calls."""
    attention, fresh = case.build(build), case.build(build)
    # As many queries but other keys: a mask kept from an earlier call would have the right number of rows.
    for earlier in (0, case.earlier + 2):
        attention.attend(*replace(case, earlier=earlier).qkv())
    found, expected = (each.attend(*case.qkv(), case.attn_mask()) for each in (attention, fresh))
    assert_same(found, expected, "the output of `attend` after earlier calls", case)
