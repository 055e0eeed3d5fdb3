"""How far a result may be from the right one."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.interfaces import HasTolerance, Tolerance
from gptkit.testing.case import Case
from gptkit.testing.results import Results

# Error that is always allowed, in units of eps of the result's size. Measured on the built-in attentions, over
# 24,000 random inputs of up to 97 tokens and a search for the worst among 600 more in each dtype: where an error
# exceeded twice the reference's own, it was at most 73 in float64 and float32, at most 10 in bfloat16, whose long
# sums run in float32, and at most 24 in float16, whose smallest numbers are large. At least twice that is allowed.
FLOOR = {torch.float64: 256, torch.float32: 256, torch.bfloat16: 24, torch.float16: 48}


def floor(dtype: torch.dtype) -> float:
    """Return the error that is always allowed, as a share of the result's size."""
    return FLOOR[dtype] * torch.finfo(dtype).eps


def declared_by(part: type) -> Tolerance:
    """Return the departures that a class of parts declares: none but rounding, if it says nothing."""
    return part.tolerance if issubclass(part, HasTolerance) else Tolerance()


def assert_as_accurate(
    found: Results, reference: Results, oracle: Results, sizes: Results, case: Case, *, declared: float = 0.0
) -> None:
    """Assert that each result is within twice the reference's distance from the oracle, or within a floor.

    Args:
        reference: The reference's results in the case's dtype.
        oracle: The reference's results in float64.
        sizes: How large each result would be if nothing cancelled, broadcastable to it.
        declared: By how much the part says that it departs from its reference, in shares of these sizes.
    """
    # Below the smallest normal number, rounding errors no longer shrink with the number.
    tiny = torch.finfo(case.dtype).tiny
    for name, exact in oracle.items():
        assert_like(found[name], reference[name], name, case)
        size = sizes[name].clamp(min=tiny)
        own, _ = largest_difference(reference[name], exact, size)
        if not math.isfinite(own):
            raise AssertionError(f"{name}: the reference itself is not finite ({case})")
        error, index = largest_difference(found[name], exact, size)
        allowed = max(2 * own, floor(case.dtype), declared)
        # Not `error > allowed`, which is false for NaN.
        if not error <= allowed:
            raise AssertionError(
                f"{name} is off by {error:.3g} relative to its size at {index}, where {allowed:.3g} is allowed: "
                f"found {found[name][index].item():.6g}, expected {exact[index].item():.6g} ({case})"
            )


def assert_equal(found: Tensor, expected: Tensor, what: str, case: Case) -> None:
    """Assert that two computations of one result differ only by rounding."""
    assert_within(floor(case.dtype), found, expected, what, case)


def assert_decoded(found: Tensor, expected: Tensor, what: str, part: nn.Module, case: Case) -> None:
    """Assert that what was decoded with a cache differs only by rounding, or as far as the part declares."""
    assert_within(max(floor(case.dtype), declared_by(type(part)).cached), found, expected, what, case)


def assert_same(found: Tensor, expected: Tensor, what: str, case: Case) -> None:
    """Assert that two results are equal to the last bit."""
    assert_within(0.0, found, expected, what, case)


def assert_within(allowed: float, found: Tensor, expected: Tensor, what: str, case: Case) -> None:
    """Assert that two results differ by at most a share of the largest expected number."""
    assert_like(found, expected, what, case)
    error, index = largest_difference(found, expected, expected.abs().max())
    if not error <= allowed:
        raise AssertionError(
            f"{what}: off by {error:.3g} relative to the largest number, at {index}, where {allowed:.3g} is "
            f"allowed: found {found[index].item():.6g}, expected {expected[index].item():.6g} ({case})"
        )


def assert_like(found: Tensor, expected: Tensor, what: str, case: Case) -> None:
    """Assert that two results have the same shape and dtype; a comparison would broadcast instead."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise AssertionError(
            f"{what}: found {found.dtype} of shape {tuple(found.shape)}, expected {expected.dtype} of shape "
            f"{tuple(expected.shape)} ({case})"
        )


def largest_difference(
    found: Float[Tensor, "..."], expected: Float[Tensor, "..."], size: Float[Tensor, "..."]
) -> tuple[float, tuple[int, ...]]:
    """Return the largest difference as a share of the size, and its index; NaN counts as the largest."""
    difference = (found.double() - expected.double()).abs()
    # Where both are zero the size may be zero too: 0 / 0 would be NaN.
    difference = torch.where(difference == 0, 0, difference / size.double())
    # NumPy's takes a twentieth of the time of PyTorch's.
    index = tuple(map(int, np.unravel_index(int(difference.argmax()), difference.shape)))
    return difference[index].item(), index
