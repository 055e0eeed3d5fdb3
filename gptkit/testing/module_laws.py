"""Laws of every part that keeps the shape of its input: attentions, feed-forwards, norms, blocks and positions."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.testing.accuracy import assert_equal, assert_like, assert_same
from gptkit.testing.applies import DoesNotApply
from gptkit.testing.case import Build, Case
from gptkit.testing.weights import draw_weights

# What a part that multiplies, sums and divides in its own dtype stays well below, in roundings of float32; half
# precision anywhere inside costs at least 4,000 of them.
PRECISE = 1024


def keeps_shape_and_dtype(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output has the shape, the dtype and the device of the input, whatever the dtype."""
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        each = replace(case, dtype=dtype)
        x = each.x()
        y = each.build(build)(x)
        if not isinstance(y, Tensor):
            raise AssertionError(f"the output is a {type(y).__name__}, not a tensor ({each})")
        assert_like(y, x, "the output", each)
        if y.device != x.device:
            raise AssertionError(f"the output is on {y.device} ({each})")


def is_finite(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output holds neither NaN nor infinity, for large inputs too."""
    for size in (1.0, 1000.0):
        each = replace(case, scale=size * case.scale, dtype=torch.float32)
        part = each.build(build)
        draw_weights(part, each)
        assert_finite(part(each.x()), "the output", each)


def assert_finite(found: Float[Tensor, "..."], what: str, case: Case) -> None:
    """Assert that a result holds neither NaN nor infinity."""
    if not found.isfinite().all():
        index = tuple(found.isfinite().logical_not().nonzero()[0].tolist())
        raise AssertionError(f"{what} is {found[index].item()} at {index} ({case})")


def rows_are_independent(build: Build[nn.Module], case: Case) -> None:
    """Assert that a batch row alone gives what it gives among others."""
    part, x = case.build(build), case.x()
    together = part(x)
    for b in range(case.B):
        assert_equal(part(x[b : b + 1]), together[b : b + 1], f"batch row {b} alone", case)


def positions_are_independent(build: Build[nn.Module], case: Case) -> None:
    """Assert that a position alone gives what it gives among others."""
    part, x = case.build(build), case.x()
    together = part(x)
    for t in range(case.T):
        assert_equal(part(x[:, t : t + 1]), together[:, t : t + 1], f"position {t} alone", case)


def eval_is_deterministic(build: Build[nn.Module], case: Case) -> None:
    """Assert that a second pass in eval mode gives the same, whatever the dropout, and changes no random state."""
    part, x = case.build(build), case.x()
    before = torch.random.get_rng_state()
    first = part(x)
    if not before.equal(torch.random.get_rng_state()):
        raise AssertionError(f"a pass in eval mode draws random numbers ({case})")
    assert_same(part(x), first, "a second pass in eval mode", case)


def same_seed_same_weights(build: Build[nn.Module], case: Case) -> None:
    """Assert that the first weights come from PyTorch's generator on the CPU, and from nowhere else."""
    first, second = case.build(build).state_dict(), case.build(build).state_dict()
    for name, weight in first.items():
        assert_finite(weight, f"the first {name}", case)
        assert_same(second[name], weight, f"{name} drawn again from the same seed", case)


def input_is_not_mutated(build: Build[nn.Module], case: Case) -> None:
    """Assert that a pass forward and backward leaves its input and the part's state as they were."""
    part, x = case.build(build), case.x()
    state = {name: value.clone() for name, value in part.state_dict().items()}
    # Not a leaf, on which autograd itself would refuse to write.
    given = x.clone().requires_grad_() * 1
    y = part(given)
    y.backward(case.draw("gradient", *y.shape))
    assert_same(given.detach(), x, "the input after a pass", case)
    for name, value in part.state_dict().items():
        assert_same(value, state[name], f"{name} after a pass in eval mode", case)


def every_parameter_gets_a_gradient(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output depends on every parameter."""
    part = case.build(build)
    if not any(True for _ in part.parameters()):
        raise DoesNotApply("it has no parameters")
    y = part(case.x())
    y.backward(case.draw("gradient", *y.shape))
    for name, weight in part.named_parameters():
        if weight.grad is None or not weight.grad.any():
            raise AssertionError(f"parameter {name} gets no gradient ({case})")


def state_dict_round_trips(build: Build[nn.Module], case: Case) -> None:
    """Assert that a part with another one's state gives what that one gives."""
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    other = replace(case, seed=case.seed + 1).build(build)
    try:
        other.load_state_dict(part.state_dict())
    except RuntimeError as error:
        raise AssertionError(f"its own state does not load: {error} ({case})") from error
    assert_same(other(x), part(x), "the output of a part with another one's state", case)


def reads_any_layout(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output does not depend on how the input lies in memory."""
    part, x = case.build(build), case.x().contiguous()
    expected = part(x)
    for name, same in layouts(x):
        assert_equal(part(same), expected, f"the output of an input that is {name}", case)
    row = x[:1].expand(case.B, -1, -1)
    assert_equal(part(row), part(row.contiguous()), "the output of one row, expanded", case)


def layouts(x: Float[Tensor, "B T C"]) -> Iterator[tuple[str, Float[Tensor, "B T C"]]]:
    """Yield the same tensor as it may lie in memory."""
    yield "transposed", x.transpose(1, 2).contiguous().transpose(1, 2)
    yield "laid out time first", x.transpose(0, 1).contiguous().transpose(0, 1)
    yield "a slice of a larger one", torch.cat((7 * x, x), dim=-1)[..., x.shape[-1] :]
    yield "every second channel of a larger one", torch.stack((x, 7 * x), dim=-1)[..., 0]


def is_precise(build: Build[nn.Module], case: Case) -> None:
    """Assert that nothing inside is computed in less than the precision of the input."""
    case = replace(case, dtype=torch.float32)
    part, x = case.build(build), case.x()
    found, expected = part(x), part.double()(x.double())
    off = (found.double() - expected).abs().max().item()
    allowed = PRECISE * torch.finfo(torch.float32).eps * max(expected.abs().max().item(), x.abs().max().item())
    if not off <= allowed:
        raise AssertionError(f"in float32 the output is off by {off:.3g}, where {allowed:.3g} is allowed ({case})")


def reads_only_what_was_written(build: Build[nn.Module], case: Case) -> None:
    """Assert that nothing comes of memory that `torch.empty` returns: here it is full of NaN."""
    x = case.x()
    with uninitialised_is_nan():
        part = case.build(build)
        given = x.clone().requires_grad_()
        y = part(given)
        y.backward(case.draw("gradient", *y.shape))
    assert_finite(y, "the output, where memory not yet written holds NaN,", case)
    for name, leaf in {"the input": given, **dict(part.named_parameters())}.items():
        if leaf.grad is not None:
            assert_finite(leaf.grad, f"the gradient of {name}, where memory not yet written holds NaN,", case)


class uninitialised_is_nan:  # noqa: N801  # reads as a statement
    """Inside, PyTorch fills what `torch.empty` and its like return with NaN."""

    def __enter__(self) -> None:
        """Switch it on."""
        self.before = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        # The filling comes with deterministic algorithms; a kernel that has none need not fail here.
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]

    def __exit__(self, *raised: object) -> None:
        """Switch it off."""
        torch.use_deterministic_algorithms(self.before[0], warn_only=self.before[1])


def varies_with_the_input(build: Build[nn.Module], case: Case) -> None:
    """Assert that another input gives another output."""
    part, x = case.build(build), case.x()
    if part(x).equal(part(x + 1 + torch.arange(case.C, device=case.device))):
        raise AssertionError(f"another input gives the same output ({case})")


def is_finite_at_rest(build: Build[nn.Module], case: Case) -> None:
    """Assert that output and gradients are finite where channels do not differ, or are all zero."""
    case = replace(case, dtype=torch.float32)
    part = case.build(build)
    for value in (0.0, 1.0, -3e4):
        x = torch.full_like(case.x(), value).requires_grad_()
        y = part(x)
        assert_finite(y, f"the output where every channel is {value:g}", case)
        (gradient,) = torch.autograd.grad(y, x, case.draw("gradient", *y.shape))
        assert_finite(gradient, f"the gradient of the input where every channel is {value:g}", case)
