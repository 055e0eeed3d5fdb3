"""Laws of dropout. They hold however it is drawn: none compares single elements."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.interfaces import FeedForward
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


def rows_drop_independently(build: Build[nn.Module], case: Case, *, steps: int = 64) -> None:
    """Assert that dropout is drawn independently for each row of a batch."""
    part, x = dropping(build, case), case.x()[:1].expand(16, -1, -1)
    with torch.no_grad(), seeded(case.device, case.seed, "dropout"):
        y = torch.stack([part(x) for _ in range(steps)])  # (N, 16, T, C)
    assert_uncorrelated(y[:, ::2].flatten(0, 1), y[:, 1::2].flatten(0, 1), "two rows of a batch", case)


def steps_drop_independently(build: Build[nn.Module], case: Case, *, rows: int = 2048) -> None:
    """Assert that dropout is drawn independently in each step, and by a feed-forward at each position."""
    # The same input everywhere, so that what is dropped is all that differs.
    part, x = dropping(build, case), case.x()[:1, :1].expand(rows, 3, -1)
    with torch.no_grad(), seeded(case.device, case.seed, "dropout"):
        first, second = part(x), part(x)  # (N, T, C)
    assert_uncorrelated(first, second, "two steps", case)
    # It promises to transform each position by itself.
    if isinstance(part, FeedForward):
        assert_uncorrelated(first[:, :-1], first[:, 1:], "neighbouring positions", case)


def dropping(build: Build[nn.Module], case: Case) -> nn.Module:
    """Return a part in training mode that drops half, with weights at which that shows."""
    part = case.build(build, dropout=0.5).train()
    draw_weights(part, case)
    return part


def assert_uncorrelated(
    first: Float[Tensor, "N ..."], second: Float[Tensor, "N ..."], what: str, case: Case
) -> None:
    """Assert that N draws of numbers are uncorrelated with N draws of others, number by number."""
    first, second = ((each - each.mean(dim=0)).double() for each in (first, second))
    size = (first.square().sum(dim=0) * second.square().sum(dim=0)).sqrt()
    # What dropout leaves alone differs by rounding, if at all.
    noise = len(first) * (floor(case.dtype) * case.scale) ** 2
    found = torch.where(size > noise, (first * second).sum(dim=0) / size, 0).abs().max().item()
    allowed = DEVIATIONS / math.sqrt(len(first))
    if not found <= allowed:
        raise AssertionError(
            f"what dropout does in {what} is correlated: {found:.2f}, where {allowed:.2f} is allowed ({case})"
        )


def weights_drop_independently(build: Build[SoftmaxAttention], case: Case, *, draws: int = 256) -> None:
    """Assert that each attention weight is dropped at the configured rate, independently of all others."""
    case = one_channel_a_key(replace(case, B=2, H=2, T=4, earlier=0))
    attention = case.build(build, dropout=0.5)
    seen = weights_of(attention, case) != 0  # (B, H, T, S)
    with torch.no_grad(), seeded(case.device, case.seed, "dropout"):
        dropped = torch.stack([weights_of(attention.train(), case)[seen] == 0 for _ in range(draws)]).double()
    index = seen.nonzero().tolist()
    for rate, (b, h, t, s) in zip(dropped.mean(dim=0).tolist(), index, strict=True):
        assert_rate(rate, 0.5, draws, f"the weight of key {s} for query {t} of head {h} in row {b}", case)
    together = dropped.T.corrcoef().abs().fill_diagonal_(0)
    if not together.max() <= (allowed := DEVIATIONS / math.sqrt(draws)):
        i, j = (together == together.max()).nonzero()[0].tolist()
        raise AssertionError(
            f"the weights at {tuple(index[i])} and {tuple(index[j])} of (B, H, T, S) are dropped together: their "
            f"correlation is {together[i, j].item():.2f}, where {allowed:.2f} is allowed ({case})"
        )
