"""Laws of what a cache and a part keep of the past: slots that are written again, weights that have changed."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gptkit.interfaces import Attention, AttentionContext, Block, LayerCache
from gptkit.nn import InputCache, KVCache
from gptkit.testing.accuracy import assert_decoded, assert_equal
from gptkit.testing.case import Build, Case
from gptkit.testing.laws.cache import cached_mask, passes, slots_of
from gptkit.testing.outcome import DoesNotApply
from gptkit.testing.weights import draw_weights


def written_again_is_replaced(build: Build[Attention | Block], case: Case) -> None:
    """Assert that in a `KVCache` or `InputCache` a position that is written again replaces what its slot held."""
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    whole, cache = part(x), part.new_cache(case.B, slots_of(case))
    if not isinstance(cache, KVCache | InputCache):
        raise DoesNotApply(f"{type(cache).__name__} is no KVCache or InputCache, whose slot i holds position i")
    other = case.scale * case.draw("another sequence", *x.shape)
    decoded(part, other, cache, passes(case.T), case)
    for start in sorted({case.T - 1, case.T // 2, 0}, reverse=True):
        # What another sequence left before that is replaced, too.
        decoded(part, x[:, :start], cache, [(0, start)] if start else [], case)
        found = decoded(part, x, cache, [(start, case.T)], case)
        what = f"positions {start} to {case.T - 1}, decoded again from another sequence's cache"
        assert_decoded(found, whole[:, start:], what, part, case)


def decodes_what_it_has_learnt(build: Build[Attention | Block], case: Case) -> None:
    """Assert that a part that has decoded, and then trained, evaluates and decodes by its new weights."""
    part, fresh, x = case.build(build), case.build(build), case.x()
    draw_weights(part, case)
    decoded(part, x, part.new_cache(case.B, slots_of(case)), passes(case.T), case)
    part.train()(x).sum().backward()
    for each in (part, fresh):
        draw_weights(each, replace(case, seed=case.seed + 1))
    fresh.load_state_dict(part.state_dict())
    expected = fresh(x)
    assert_equal(part.eval()(x), expected, "the output after decoding and training", case)
    found = decoded(part, x, part.new_cache(case.B, slots_of(case)), passes(case.T), case)
    assert_decoded(found, expected, "the output, decoded with a cache after decoding and training", part, case)


@torch.no_grad()
def decoded(
    part: Attention | Block,
    x: Float[Tensor, "B T C"],
    cache: LayerCache,
    split: Iterable[tuple[int, int]],
    case: Case,
) -> Float[Tensor, "B decoded C"]:
    """Return the outputs of several passes with one cache, joined.

    Args:
        split: Start and end of each pass.
    """
    found = [
        part(x[:, start:end], AttentionContext(start, None, cache, cached_mask(cache, start, end, case)))
        for start, end in split
    ]
    return torch.cat(found, dim=1) if found else x[:, :0]
