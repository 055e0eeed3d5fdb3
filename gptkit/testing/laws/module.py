"""Laws of every part that keeps the shape of its input: attentions, feed-forwards, norms, positions and blocks."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.testing.accuracy import assert_equal, assert_like, assert_same
from gptkit.testing.case import Build, Case
from gptkit.testing.outcome import DoesNotApply
from gptkit.testing.weights import draw_weights


def keeps_shape_and_dtype(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output has the shape, dtype and device of the input."""
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        each = replace(case, dtype=dtype)
        x = each.x()
        y = each.build(build)(x)
        if not isinstance(y, Tensor):
            raise AssertionError(f"the output is a {type(y).__name__}, not a tensor ({each})")
        assert_like(y, x, "the output", each)
        if y.device != x.device:
            raise AssertionError(f"the output is on {y.device} ({each})")


def rows_are_independent(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output of a batch row does not depend on the other rows."""
    part, x = case.build(build), case.x()
    together = part(x)
    for b in range(case.B):
        assert_equal(part(x[b : b + 1]), together[b : b + 1], f"batch row {b} alone", case)


def positions_are_independent(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output at a position does not depend on other positions."""
    part, x = case.build(build), case.x()
    together = part(x)
    for t in range(case.T):
        assert_equal(part(x[:, t : t + 1]), together[:, t : t + 1], f"position {t} alone", case)


def input_is_not_mutated(build: Build[nn.Module], case: Case) -> None:
    """Assert that a pass forward and backward in eval mode modifies neither the input nor the part's state."""
    part, x = case.build(build), case.x()
    state = {name: value.clone() for name, value in part.state_dict().items()}
    # Not a leaf: autograd itself forbids in-place writes to leaves.
    given = x.clone().requires_grad_() * 1
    y = part(given)
    y.backward(case.draw("gradient", *y.shape))
    assert_same(given.detach(), x, "the input after a pass", case)
    for name, value in part.state_dict().items():
        assert_same(value, state[name], f"{name} after a pass in eval mode", case)


def every_parameter_gets_a_gradient(build: Build[nn.Module], case: Case) -> None:
    """Assert that every parameter gets a gradient."""
    part = case.build(build)
    draw_weights(part, case)
    waiting = dict(part.named_parameters())
    if not waiting:
        raise DoesNotApply("it has no parameters")
    # What a part chooses by its input, such as an expert, may need many tokens before it is chosen.
    for B in (case.B, 16, 64, 256):
        x = replace(case, B=B).x()
        y = part(x)
        y.backward(replace(case, B=B).draw("gradient", *y.shape))
        waiting = {
            name: weight for name, weight in waiting.items() if weight.grad is None or not weight.grad.any()
        }
        if not waiting:
            return
    raise AssertionError(f"parameter {next(iter(waiting))} gets no gradient ({case})")


def reads_any_layout(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output does not depend on the memory layout of the input."""
    part, x = case.build(build), case.x().contiguous()
    expected = part(x)
    for name, same in layouts(x):
        assert_equal(part(same), expected, f"the output for an input that is {name}", case)
    row = x[:1].expand(case.B, -1, -1)
    assert_equal(part(row), part(row.contiguous()), "the output for one row, expanded", case)


def layouts(x: Float[Tensor, "B T C"]) -> Iterator[tuple[str, Float[Tensor, "B T C"]]]:
    """Yield the same tensor in other memory layouts, each with its name."""
    yield "transposed", x.transpose(1, 2).contiguous().transpose(1, 2)
    yield "stored time first", x.transpose(0, 1).contiguous().transpose(0, 1)
    yield "a slice of a larger one", torch.cat((7 * x, x), dim=-1)[..., x.shape[-1] :]
    yield "every second channel of a larger one", torch.stack((x, 7 * x), dim=-1)[..., 0]


def varies_with_the_input(build: Build[nn.Module], case: Case) -> None:
    """Assert that a different input gives a different output."""
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    if part(x).equal(part(x + 1 + torch.arange(case.C, device=case.device))):
        raise AssertionError(f"a different input gives the same output ({case})")
