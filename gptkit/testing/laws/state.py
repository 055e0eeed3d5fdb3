"""Laws of every module about its state: initial weights, saved weights, and nothing kept between passes."""

import warnings
from dataclasses import replace

import torch
from torch import nn

from gptkit.seeds import seeded
from gptkit.testing.accuracy import assert_equal, assert_same
from gptkit.testing.case import Build, Case
from gptkit.testing.laws.number import assert_finite
from gptkit.testing.outcome import Refusal
from gptkit.testing.weights import draw_weights

CPU = torch.device("cpu")


def eval_is_deterministic(build: Build[nn.Module], case: Case) -> None:
    """Assert that every pass in eval mode gives the same output and draws no random numbers."""
    try:
        part = case.build(build, dropout=0.5)
    except Refusal:
        part = case.build(build)
    x, before = case.x(), torch.random.get_rng_state()
    first = part(x)
    if not before.equal(torch.random.get_rng_state()):
        raise AssertionError(f"a pass in eval mode draws random numbers ({case})")
    assert_same(part(x), first, "a second pass in eval mode", case)


def trains_as_it_evaluates(build: Build[nn.Module], case: Case) -> None:
    """Assert that without dropout, training mode and eval mode give the same output."""
    part, x = case.build(build), case.x()
    expected = part(x)
    assert_equal(part.train()(x), expected, "the output in training mode without dropout", case)


def forgets_earlier_passes(build: Build[nn.Module], case: Case) -> None:
    """Assert that a pass does not depend on earlier passes of other lengths and batch sizes."""
    part, fresh = case.build(build), case.build(build)
    others = [replace(case, T=T, B=case.B + 1, scale=3.0) for T in (1, case.T + case.spare, case.T)]
    for other in others:
        part(other.x())
    assert_same(part(case.x()), fresh(case.x()), "the output after passes over other inputs", case)


def first_weights_are_drawn(build: Build[nn.Module], case: Case) -> None:
    """Assert that initial weights are finite and drawn only from PyTorch's global generator."""
    first, second, other = (drawn(build, case, seed) for seed in ("one seed", "one seed", "another"))
    if first[1].equal(other[1]):
        raise AssertionError(f"its constructor seeds PyTorch's global generator, which is the caller's ({case})")
    same, others = second[0].state_dict(), dict(other[0].named_parameters())
    for name, weight in first[0].state_dict().items():
        assert_finite(weight, f"the initial {name}", case)
        assert_same(same[name], weight, f"{name} drawn again from the same seed", case)
        if weight.numel() and same[name].data_ptr() == weight.data_ptr():
            raise AssertionError(f"two parts share {name}: each layer needs weights of its own ({case})")
    for name, weight in first[0].named_parameters():
        if weight.ndim > 1 and weight.unique().numel() == weight.numel() > 1 and weight.equal(others[name]):
            raise AssertionError(f"{name} is the same whatever the seed ({case})")


def drawn(build: Build[nn.Module], case: Case, seed: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a part with initial weights drawn from a seed, and the generator's state after that."""
    with seeded(CPU, case.seed, seed):
        part = build(case.dims(), **dict(case.options))
        return part, torch.random.get_rng_state()


def state_dict_round_trips(build: Build[nn.Module], case: Case) -> None:
    """Assert that a part that loads another part's state_dict gives the same output."""
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    other = replace(case, seed=case.seed + 1).build(build)
    try:
        other.load_state_dict(part.state_dict())
    except RuntimeError as error:
        raise AssertionError(f"its own state_dict does not load: {error} ({case})") from error
    assert_same(other(x), part(x), "the output of a part that loaded another one's state_dict", case)


def reads_only_what_was_written(build: Build[nn.Module], case: Case) -> None:
    """Assert that output and gradients do not depend on uninitialised memory."""
    x = case.x()
    with uninitialised_is_nan():
        part = case.build(build)
        given = x.clone().requires_grad_()
        y = part(given)
        y.backward(case.draw("gradient", *y.shape))
    assert_finite(y, "the output, with uninitialised memory filled with NaN,", case)
    for name, leaf in {"the input": given, **dict(part.named_parameters())}.items():
        if leaf.grad is not None:
            assert_finite(leaf.grad, f"the gradient of {name}, with uninitialised memory filled with NaN,", case)


class uninitialised_is_nan:  # noqa: N801  # reads as a statement
    """Make PyTorch fill the tensors of `torch.empty` and its like with NaN."""

    def __enter__(self) -> None:
        """Switch it on."""
        self.before = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        # Filling needs deterministic algorithms. An operation that has none only warns, on CUDA every product, and
        # that is not what is asked here.
        torch.use_deterministic_algorithms(True, warn_only=True)
        self.quiet = warnings.catch_warnings()
        self.quiet.__enter__()
        warnings.filterwarnings("ignore", ".*deterministic", UserWarning)
        torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]

    def __exit__(self, *raised: object) -> None:
        """Switch it off."""
        self.quiet.__exit__(None, None, None)
        torch.use_deterministic_algorithms(self.before[0], warn_only=self.before[1])
