"""Laws of what a cache and a part keep of the past: slots that are written again, weights that have changed."""

from dataclasses import replace

from gptkit.interfaces import Attention, Block
from gptkit.nn import InputCache, KVCache
from gptkit.testing.accuracy import assert_decoded, assert_equal
from gptkit.testing.case import Build, Case
from gptkit.testing.laws.cache import decode_in_passes, passes, slots_of
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
    decode_in_passes(part, other, cache, passes(case.T), case)
    for start in sorted({case.T - 1, case.T // 2, 0}, reverse=True):
        # What another sequence left before that is replaced, too.
        decode_in_passes(part, x[:, :start], cache, [(0, start)] if start else [], case)
        found = decode_in_passes(part, x, cache, [(start, case.T)], case)
        what = f"positions {start} to {case.T - 1}, decoded again from another sequence's cache"
        assert_decoded(found, whole[:, start:], what, part, case)


def decodes_what_it_has_learnt(build: Build[Attention | Block], case: Case) -> None:
    """Assert that a part that has decoded, and then trained, evaluates and decodes by its new weights."""
    part, fresh, x = case.build(build), case.build(build), case.x()
    draw_weights(part, case)
    decode_in_passes(part, x, part.new_cache(case.B, slots_of(case)), passes(case.T), case)
    part.train()(x).sum().backward()
    for each in (part, fresh):
        draw_weights(each, replace(case, seed=case.seed + 1))
    fresh.load_state_dict(part.state_dict())
    expected = fresh(x)
    assert_equal(part.eval()(x), expected, "the output after decoding and training", case)
    found = decode_in_passes(part, x, part.new_cache(case.B, slots_of(case)), passes(case.T), case)
    assert_decoded(found, expected, "the output, decoded with a cache after decoding and training", part, case)
