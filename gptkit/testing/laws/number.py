"""Laws of every module about precision: results are finite, and as precise as their dtype allows."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.testing.accuracy import assert_like
from gptkit.testing.case import Build, Case
from gptkit.testing.weights import draw_weights

# Allowed error in units of float32's eps. The built-in parts stay below 8; half precision anywhere inside costs
# at least 4,000.
PRECISE = 1024
# Allowed error in bfloat16, as a share of the largest output. A few steps rounded to 8 bits each stay well below.
COARSE = 0.1
# How often an input is rounded in another way, to see which positions of an output hang on that.
ROUNDINGS = 32


def is_finite(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output holds neither NaN nor infinity, for large inputs too."""
    for size in (1.0, 1000.0):
        each = replace(case, scale=size * case.scale, dtype=torch.float32)
        part = each.build(build)
        draw_weights(part, each)
        assert_finite(part(each.x()), "the output", each)


def assert_finite(found: Float[Tensor, "..."], what: str, case: Case) -> None:
    """Assert that a tensor holds neither NaN nor infinity."""
    if not found.isfinite().all():
        index = tuple(found.isfinite().logical_not().nonzero()[0].tolist())
        raise AssertionError(f"{what} is {found[index].item()} at {index} ({case})")


def is_precise(build: Build[nn.Module], case: Case) -> None:
    """Assert that a pass in float32 computes nothing at a lower precision."""
    case = replace(case, dtype=torch.float32)
    part = case.build(build)
    draw_weights(part, case)
    x = case.x()
    assert_near_to_double(part(x), part, x, PRECISE * torch.finfo(torch.float32).eps, case)


def is_right_in_bfloat16(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output in bfloat16 is close to the output in float64."""
    # With smaller numbers a router cannot tell its experts apart in bfloat16.
    case = replace(case, dtype=torch.bfloat16, scale=max(case.scale, 1.0))
    part = case.build(build)
    draw_weights(part, case)
    x = case.x()
    assert_near_to_double(part(x), part, x, COARSE, case)


def is_precise_far_from_zero(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output stays precise when the mean of the channels is much larger than their deviation."""
    case = replace(case, dtype=torch.float32)
    part = case.build(build)
    x = 1000 + case.draw("x", case.B, case.T, case.C)
    assert_near_to_double(part(x), part, x, 0.01, case)


def assert_near_to_double(
    found: Float[Tensor, "B T C"], part: nn.Module, x: Float[Tensor, "B T C"], allowed: float, case: Case
) -> None:
    """Assert that a part's output in the case's dtype is close to its output in float64.

    Except at positions where that hangs on how the input is rounded, say because it decides which expert computes
    them. Leaves the part in float64.

    Args:
        allowed: Error, as a share of the largest number in the output.
    """
    part, x = part.double(), x.detach().double()
    expected = part(x)
    size = expected.abs().max().item()
    off = (found.double() - expected).abs().amax(dim=-1)  # (B, T)
    if (off <= allowed * size).all():
        return
    hangs = torch.zeros_like(off, dtype=torch.bool)
    for number in range(ROUNDINGS):
        rounding = 4 * torch.finfo(case.dtype).eps * case.draw(f"rounding {number}", *x.shape).double()
        hangs |= (part(x * (1 + rounding)) - expected).abs().amax(dim=-1) > allowed * size
    if not hangs.all():
        off = off.masked_fill(hangs, 0)
    # Not `off > allowed`, which is false for NaN.
    if not (off <= allowed * size).all():
        raise AssertionError(
            f"the output differs by {off.max().item():.3g} from the output in float64, "
            f"where {allowed * size:.3g} is allowed ({case})"
        )


def takes_autocast(build: Build[nn.Module], case: Case) -> None:
    """Assert that forward and backward work under autocast to bfloat16."""
    case = replace(case, dtype=torch.float32, scale=max(case.scale, 1.0))
    part, x = case.build(build), case.x().requires_grad_()
    draw_weights(part, case)
    with torch.autocast(case.device.type, torch.bfloat16):
        y = part(x)
    assert_like(y.float(), x.detach(), "the output under autocast", case)
    y.backward(case.draw("gradient", *y.shape).to(y))
    assert x.grad is not None
    assert_finite(x.grad, "the gradient of the input under autocast", case)
    try:
        assert_near_to_double(y.detach(), part, x, COARSE, replace(case, dtype=torch.bfloat16))
    except AssertionError as error:
        raise AssertionError(f"under autocast {error}") from None


def is_finite_at_rest(build: Build[nn.Module], case: Case) -> None:
    """Assert that output and gradient are finite when all channels are equal, or all zero."""
    for dtype in (torch.float32, torch.bfloat16):
        each = replace(case, dtype=dtype)
        part = each.build(build)
        for value in (0.0, 1.0, -3e4):
            x = torch.full_like(each.x(), value).requires_grad_()
            y = part(x)
            assert_finite(y, f"the output when every channel is {value:g}", each)
            (gradient,) = torch.autograd.grad(y, x, each.draw("gradient", *y.shape))
            assert_finite(gradient, f"the gradient of the input when every channel is {value:g}", each)
