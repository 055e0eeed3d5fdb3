"""How far from the right result a part may be."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gptkit.testing.case import Case
from gptkit.testing.results import Results

# In roundings (eps) of a result's size. Where the built-in attentions were off by more than twice the
# reference's own error, it was by at most 73 in float64 and float32, by at most 10 in bfloat16, whose long sums
# run in float32, and by at most 24 in float16, whose smallest numbers are not so small: over 24,000 random inputs
# up to 97 tokens long, and in a search for the worst among 600 more in each dtype. Twice that and more is allowed.
FLOOR = {torch.float64: 256, torch.float32: 256, torch.bfloat16: 24, torch.float16: 48}


def floor(dtype: torch.dtype) -> float:
    """Return the error that is always allowed, as a share of the result's size."""
    return FLOOR[dtype] * torch.finfo(dtype).eps


def assert_as_accurate(found: Results, reference: Results, oracle: Results, sizes: Results, case: Case) -> None:
    """Assert that each result is at most twice as far from the oracle as the reference's, or within a floor.

    Args:
        reference: What the reference found in the case's dtype.
        oracle: What the reference found in float64.
        sizes: How large each result is where nothing cancels, broadcastable to it.
    """
    # Below the smallest normal number of a dtype, roundings no longer shrink with what is rounded.
    tiny = torch.finfo(case.dtype).tiny
    for name, exact in oracle.items():
        assert_like(found[name], reference[name], name, case)
        size = sizes[name].clamp(min=tiny)
        own, _ = largest_difference(reference[name], exact, size)
        if not math.isfinite(own):
            raise AssertionError(f"{name}: the reference itself is not finite ({case})")
        error, index = largest_difference(found[name], exact, size)
        allowed = max(2 * own, floor(case.dtype))
        # Not `error > allowed`, which NaN would pass.
        if not error <= allowed:
            raise AssertionError(
                f"{name} is off by {error:.3g} of its size at {index}, where {allowed:.3g} is allowed: found "
                f"{found[name][index].item():.6g}, expected {exact[index].item():.6g} ({case})"
            )


def assert_equal(found: Tensor, expected: Tensor, what: str, case: Case) -> None:
    """Assert that two computations of one result differ by no more than rounding."""
    assert_within(floor(case.dtype), found, expected, what, case)


def assert_same(found: Tensor, expected: Tensor, what: str, case: Case) -> None:
    """Assert that two results are the same to the last bit."""
    assert_within(0.0, found, expected, what, case)


def assert_within(allowed: float, found: Tensor, expected: Tensor, what: str, case: Case) -> None:
    """Assert that two results differ by no more than a share of the largest number in them."""
    assert_like(found, expected, what, case)
    error, index = largest_difference(found, expected, expected.abs().max())
    if not error <= allowed:
        raise AssertionError(
            f"{what}: off by {error:.3g} of the largest at {index}, where {allowed:.3g} is allowed: found "
            f"{found[index].item():.6g}, expected {expected[index].item():.6g} ({case})"
        )


def assert_like(found: Tensor, expected: Tensor, what: str, case: Case) -> None:
    """Assert that two results have the same shape and dtype, because a comparison would broadcast."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise AssertionError(
            f"{what}: found {found.dtype} of shape {tuple(found.shape)}, expected {expected.dtype} of shape "
            f"{tuple(expected.shape)} ({case})"
        )


def largest_difference(
    found: Float[Tensor, "..."], expected: Float[Tensor, "..."], size: Float[Tensor, "..."]
) -> tuple[float, tuple[int, ...]]:
    """Return the largest difference as a share of a size, and its index; NaN is larger than anything."""
    difference = (found.double() - expected.double()).abs()
    # Where there is nothing there is no size either, and nothing is what must be found.
    difference = torch.where(difference == 0, 0, difference / size.double())
    index = tuple(int(i) for i in torch.unravel_index(difference.argmax(), difference.shape))
    return difference[index].item(), index
