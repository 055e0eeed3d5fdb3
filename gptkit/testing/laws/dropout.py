"""Laws of dropout. They hold however it is drawn: none compares single elements."""

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
from gptkit.testing.weights import draw_weights

# How many standard deviations a mean may be off. Fewer than one in a million correct means is.
DEVIATIONS = 6


def dropout_is_off_in_eval(build: Build[nn.Module], case: Case) -> None:
    """Assert that in eval mode the output is that of the same weights without dropout."""
    part, plain, x = case.build(build, dropout=0.5), case.build(build).train(), case.x()
    plain.load_state_dict(part.state_dict())
    assert_equal(part(x), plain(x), "the output in eval mode of a part with dropout", case)


def dropout_follows_the_seed(build: Build[nn.Module], case: Case) -> None:
    """Assert that the same seed drops the same elements, and another seed drops others."""
    part, x = case.build(build, dropout=0.5).train(), case.x()
    draw_weights(part, case)
    first, again, other = (seeded_pass(part, x, case, seed) for seed in ("one seed", "one seed", "another"))
    assert_same(again, first, "a second pass with the same seed", case)
    if first.equal(other):
        raise AssertionError(f"another seed drops the same elements ({case})")


def seeded_pass(part: nn.Module, x: Tensor, case: Case, purpose: str) -> Tensor:
    """Return the output with dropout drawn from the seed of a purpose."""
    with seeded(case.device, case.seed, purpose):
        return part(x)


def dropout_keeps_the_mean(build: Build[nn.Module], case: Case, *, draws: int = 4096) -> None:
    """Assert that the mean output over many draws of dropout equals the output in eval mode."""
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
    """Assert that if dropout zeroes elements of the output, it zeroes the configured share of them."""
    # With the options' defaults: in a window of one position, a dropped weight zeroes the whole output.
    case = replace(case, options=())
    part, x = case.build(build, dropout=rate), case.x()
    # The last position, for the same reason: the first one sees only itself.
    seen = draws * int((part(x)[:, -1] != 0).sum())
    with seeded(case.device, case.seed, "dropout"):
        kept = sum(int((part.train()(x)[:, -1] != 0).sum()) for _ in range(draws))
    if kept == seen and isinstance(part, SoftmaxAttention):
        raise AssertionError(
            f"a softmax attention also drops elements of its output, and this one drops none ({case})"
        )
    if kept == seen:
        raise DoesNotApply("its dropout zeroes no element of the output, so its rate cannot be measured there")
    assert_rate(1 - kept / seen, rate, seen, "the output", case)


def assert_rate(dropped: float, rate: float, seen: int, what: str, case: Case) -> None:
    """Assert that a dropped share lies within the deviation of that many draws.

    Args:
        seen: How many elements were drawn.
    """
    # A kernel may compare 8 random bits, which rounds the rate.
    allowed = DEVIATIONS * math.sqrt(rate * (1 - rate) / seen) + 1 / 256
    if not abs(dropped - rate) <= allowed:
        raise AssertionError(f"{dropped:.4f} of {what} is dropped, expected {rate} ± {allowed:.4f} ({case})")


def dropout_is_independent(build: Build[SoftmaxAttention], case: Case, *, draws: int = 8) -> None:
    """Assert that dropout is drawn separately for each batch row, head and query."""
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
    """Assert that dropout zeroes the configured share of the attention weights."""
    case = one_channel_a_key(case)
    attention = case.build(build, dropout=rate)
    seen = draws * int((weights_of(attention, case) != 0).sum())
    with seeded(case.device, case.seed, "dropout"):
        kept = sum(int((weights_of(attention.train(), case) != 0).sum()) for _ in range(draws))
    assert_rate(1 - kept / seen, rate, seen, "the weights", case)
