"""Laws of every part that keeps the shape of its input: attentions, feed-forwards, norms and blocks."""

from dataclasses import replace

from torch import nn

from gptkit.testing.accuracy import assert_equal, assert_same
from gptkit.testing.case import Build, Case


def is_finite(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output holds neither NaN nor infinity."""
    y = case.build(build)(case.x())
    if not y.isfinite().all():
        index = tuple(y.isfinite().logical_not().nonzero()[0].tolist())
        raise AssertionError(f"the output is {y[index].item()} at {index} ({case})")


def rows_are_independent(build: Build[nn.Module], case: Case) -> None:
    """Assert that a batch row alone gives what it gives among others."""
    part, x = case.build(build), case.x()
    together = part(x)
    for b in range(case.B):
        assert_equal(part(x[b : b + 1]), together[b : b + 1], f"batch row {b} alone", case)


def eval_is_deterministic(build: Build[nn.Module], case: Case) -> None:
    """Assert that a second pass in eval mode gives the same, whatever the dropout."""
    part, x = case.build(build, dropout=0.5), case.x()
    assert_same(part(x), part(x), "a second pass in eval mode", case)


def input_is_not_mutated(build: Build[nn.Module], case: Case) -> None:
    """Assert that a pass forward and backward leaves its input as it was."""
    part, x = case.build(build), case.x()
    # Not a leaf, on which autograd itself would refuse to write.
    given = x.clone().requires_grad_() * 1
    y = part(given)
    y.backward(case.draw("gradient", *y.shape))
    assert_same(given.detach(), x, "the input after a pass", case)


def every_parameter_gets_a_gradient(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output depends on every parameter."""
    part = case.build(build)
    y = part(case.x())
    y.backward(case.draw("gradient", *y.shape))
    for name, weight in part.named_parameters():
        if weight.grad is None or not weight.grad.any():
            raise AssertionError(f"parameter {name} gets no gradient ({case})")


def state_dict_round_trips(build: Build[nn.Module], case: Case) -> None:
    """Assert that a part with another one's state gives what that one gives."""
    part, x = case.build(build), case.x()
    other = replace(case, seed=case.seed + 1).build(build)
    other.load_state_dict(part.state_dict())
    assert_same(other(x), part(x), "the output of a part with another one's state", case)
