"""Laws of dropout. They hold for any way to draw it, and none compares single elements."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from gptkit.nn import SoftmaxAttention
from gptkit.seeds import seeded
from gptkit.testing.accuracy import assert_equal, assert_same, floor
from gptkit.testing.case import Build, Case
from gptkit.testing.laws.attend import one_channel_a_key, weights_of
from gptkit.testing.outcome import DoesNotApply

# How many of its standard deviations a mean may be off. Of a million right ones, none is.
DEVIATIONS = 6


def dropout_is_off_in_eval(build: Build[nn.Module], case: Case) -> None:
    """Assert that a part in eval mode gives what the same weights give without dropout."""
    part, plain, x = case.build(build, dropout=0.5), case.build(build).train(), case.x()
    plain.load_state_dict(part.state_dict())
    assert_equal(part(x), plain(x), "the output in eval mode of a part with dropout", case)


def dropout_follows_the_seed(build: Build[nn.Module], case: Case) -> None:
    """Assert that the same seed drops the same, and another seed something else."""
    part, x = case.build(build, dropout=0.5).train(), case.x()
    first, again, other = (seeded_pass(part, x, case, seed) for seed in ("one seed", "one seed", "another"))
    assert_same(again, first, "a second pass with the same seed", case)
    if first.equal(other):
        raise AssertionError(f"another seed drops the same ({case})")


def seeded_pass(part: nn.Module, x: Tensor, case: Case, purpose: str) -> Tensor:
    """Return a part's output when dropout is drawn from one purpose's seed."""
    with seeded(case.device, case.seed, purpose):
        return part(x)


def dropout_keeps_the_mean(build: Build[nn.Module], case: Case, *, draws: int = 4096) -> None:
    """Assert that the mean over many draws is the output in eval mode."""
    part, x = case.build(build, dropout=0.5), case.x()[:1]
    expected = part(x)[0]
    y = seeded_pass(part.train(), x.expand(draws, -1, -1), case, "dropout").double()
    off = (y.mean(dim=0) - expected).abs()
    allowed = DEVIATIONS * y.std(dim=0) / math.sqrt(draws) + floor(case.dtype) * expected.abs().max()
    if not (off <= allowed).all():
        t, c = (off > allowed).nonzero()[0].tolist()
        raise AssertionError(
            f"the mean of {draws} draws at {(t, c)} is off by {off[t, c].item():.3g}, where "
            f"{allowed[t, c].item():.3g} is allowed: expected {expected[t, c].item():.6g} ({case})"
        )


def output_dropout_has_its_rate(
    build: Build[nn.Module], case: Case, *, rate: float = 0.2, draws: int = 256
) -> None:
    """Assert that a part whose output has zeros only while training has about its share of them."""
    # With options as they are: where a position sees but one, its output may be zero for that too.
    case = replace(case, options=())
    part, x = case.build(build, dropout=rate), case.x()
    # The last position: where all that the first one sees is dropped, its whole output may be zero together.
    seen = draws * int((part(x)[:, -1] != 0).sum())
    with seeded(case.device, case.seed, "dropout"):
        kept = sum(int((part.train()(x)[:, -1] != 0).sum()) for _ in range(draws))
    if kept == seen and isinstance(part, SoftmaxAttention):
        raise AssertionError(
            f"dropout acts on the output of a softmax attention too, and none is dropped ({case})"
        )
    if kept == seen:
        raise DoesNotApply("its dropout sets nothing in the output to zero: its rate cannot be seen there")
    assert_rate(1 - kept / seen, rate, seen, "the output", case)


def assert_rate(dropped: float, rate: float, seen: int, what: str, case: Case) -> None:
    """Assert that a share of many numbers is what so many draws at a rate give."""
    # A draw of 8 random bits is a draw, though it rounds the rate.
    allowed = DEVIATIONS * math.sqrt(rate * (1 - rate) / seen) + 1 / 256
    if not abs(dropped - rate) <= allowed:
        raise AssertionError(f"{dropped:.4f} of {what} was dropped, not {rate} ± {allowed:.4f} ({case})")


def dropout_is_independent(build: Build[SoftmaxAttention], case: Case, *, draws: int = 8) -> None:
    """Assert that what is dropped in one row, head or query is not what is dropped in all."""
    case = one_channel_a_key(replace(case, B=2, H=2, T=9, earlier=4))
    attention = case.build(build, dropout=0.5).train()
    with seeded(case.device, case.seed, "dropout"):
        dropped = torch.stack([weights_of(attention, case) == 0 for _ in range(draws)])  # (N, B, H, T, S)
    # Keys that every query sees.
    dropped = dropped[..., : case.earlier + 1]
    for axis, name in enumerate(("rows", "heads", "queries"), start=1):
        if dropped.equal(dropped.narrow(axis, 0, 1).expand_as(dropped)):
            raise AssertionError(f"the same weights are dropped in all {name} ({case})")


def dropout_has_its_rate(
    build: Build[SoftmaxAttention], case: Case, *, rate: float = 0.2, draws: int = 64
) -> None:
    """Assert that dropout zeroes about its share of the weights that are not zero without it."""
    case = one_channel_a_key(case)
    attention = case.build(build, dropout=rate)
    seen = draws * int((weights_of(attention, case) != 0).sum())
    with seeded(case.device, case.seed, "dropout"):
        kept = sum(int((weights_of(attention.train(), case) != 0).sum()) for _ in range(draws))
    assert_rate(1 - kept / seen, rate, seen, "the weights", case)
