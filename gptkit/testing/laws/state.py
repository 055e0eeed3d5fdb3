"""Laws of every module about what it keeps: its weights, and nothing else from pass to pass."""

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
    """Assert that a second pass in eval mode gives the same, whatever the dropout, and changes no random state."""
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
    """Assert that without dropout a pass while training gives what it gives in eval mode."""
    part, x = case.build(build), case.x()
    expected = part(x)
    assert_equal(part.train()(x), expected, "the output while training, without dropout", case)


def forgets_earlier_passes(build: Build[nn.Module], case: Case) -> None:
    """Assert that a pass does not depend on those before it, of other lengths and more rows."""
    part, fresh = case.build(build), case.build(build)
    others = [replace(case, T=T, B=case.B + 1, scale=3.0) for T in (1, case.T + case.spare, case.T)]
    for other in others:
        part(other.x())
    assert_same(part(case.x()), fresh(case.x()), "the output after passes over other inputs", case)


def first_weights_are_drawn(build: Build[nn.Module], case: Case) -> None:
    """Assert that first weights are finite, and drawn from PyTorch's generator and from nowhere else."""
    first, second, other = (drawn(build, case, seed) for seed in ("one seed", "one seed", "another"))
    if first[1].equal(other[1]):
        raise AssertionError(f"its constructor seeds PyTorch's generator, which is the caller's ({case})")
    same, others = second[0].state_dict(), dict(other[0].named_parameters())
    for name, weight in first[0].state_dict().items():
        assert_finite(weight, f"the first {name}", case)
        assert_same(same[name], weight, f"{name} drawn again from the same seed", case)
        if weight.numel() and same[name].data_ptr() == weight.data_ptr():
            raise AssertionError(f"{name} is shared by two parts: a layer has weights of its own ({case})")
    for name, weight in first[0].named_parameters():
        if weight.ndim > 1 and weight.unique().numel() == weight.numel() > 1 and weight.equal(others[name]):
            raise AssertionError(f"{name} is the same whatever the seed ({case})")


def drawn(build: Build[nn.Module], case: Case, seed: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a part with first weights drawn from a seed, and the state of the generator after that."""
    with seeded(CPU, case.seed, seed):
        part = build(case.dims(), **dict(case.options))
        return part, torch.random.get_rng_state()


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
