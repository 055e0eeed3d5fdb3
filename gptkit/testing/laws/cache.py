"""Laws of the cache of an attention or a block: decoding token by token equals one pass over all tokens."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.interfaces import Attention, AttentionContext, Block, ConstantSizeCache, LayerCache, Position
from gptkit.seeds import generator
from gptkit.testing.accuracy import assert_decoded, declared_by
from gptkit.testing.case import Build, Case
from gptkit.testing.laws.number import COARSE, assert_near_to_double
from gptkit.testing.laws.state import uninitialised_is_nan
from gptkit.testing.stand_in_parts import PositionByScale
from gptkit.testing.weights import draw_weights


def cache_changes_nothing(build: Build[Attention | Block], case: Case) -> None:
    """Assert that decoding with a cache gives the output of one pass over all tokens."""
    assert_decodes(build, case, None, passes(case.T), start_on_device=False)


def cache_keeps_positions(build: Build[Attention | Block], case: Case) -> None:
    """Assert that decoding with a cache rotates by the right positions, with `start_pos` on host or device."""
    position = PositionByScale(case.dims())
    for start_on_device in (False, True):
        assert_decodes(build, case, position, passes(case.T), start_on_device=start_on_device)


def chunks_change_nothing(build: Build[Attention | Block], case: Case) -> None:
    """Assert that decoding with a cache gives the same, however the tokens are split into passes."""
    for cuts in splits(case):
        assert_decodes(build, case, None, pairwise(cuts), start_on_device=True)


def assert_decodes(
    build: Build[Attention | Block],
    case: Case,
    position: Position | None,
    split: Iterable[tuple[int, int]],
    *,
    start_on_device: bool,
) -> None:
    """Assert that decoding with a cache gives the output of one pass over all tokens.

    Args:
        split: Start and end of each pass.
        start_on_device: Whether `start_pos` is a tensor, so that the host need not wait for it.
    """
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    whole = part(x, AttentionContext(position=position))
    # Slots that were never written must not affect the output.
    with uninitialised_is_nan():
        cache = part.new_cache(case.B, slots_of(case))
    with torch.no_grad():
        for start, end in split:
            start_pos = torch.tensor(start, device=case.device) if start_on_device else start
            found = part(
                x[:, start:end],
                AttentionContext(start_pos, position, cache, cached_mask(cache, start, end, case)),
            )
            assert_decoded(
                found, whole[:, start:end], f"positions {start} to {end - 1}, decoded with a cache", part, case
            )


def decodes_under_autocast(build: Build[Attention | Block], case: Case) -> None:
    """Assert that decoding with a cache works under autocast to bfloat16."""
    case = replace(case, dtype=torch.float32, scale=max(case.scale, 1.0))
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    cache = part.new_cache(case.B, slots_of(case))
    with torch.autocast(case.device.type, torch.bfloat16):
        found = decode_in_passes(part, x, cache, passes(case.T), case)
    allowed = COARSE + declared_by(type(part)).cached
    assert_near_to_double(found, part, x, allowed, replace(case, dtype=torch.bfloat16))


def caches_are_apart(build: Build[Attention | Block], case: Case) -> None:
    """Assert that two sequences decoded in alternation, each with its own cache, do not affect each other."""
    part = case.build(build)
    draw_weights(part, case)
    sequences = [case.x(), case.scale * case.draw("another sequence", case.B, case.T, case.C)]
    caches: list[LayerCache] = [part.new_cache(case.B, slots_of(case)) for _ in sequences]
    wholes = [part(x) for x in sequences]
    with torch.no_grad():
        for t in range(case.T):
            for n, (x, cache, whole) in enumerate(zip(sequences, caches, wholes, strict=True)):
                found = part(x[:, t : t + 1], AttentionContext(t, None, cache, cached_mask(cache, t, t + 1, case)))
                what = f"position {t} of sequence {n}, decoded in alternation with another"
                assert_decoded(found, whole[:, t : t + 1], what, part, case)


@torch.no_grad()
def decode_in_passes(
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


def decoding_waits_for_nothing(build: Build[Attention | Block], case: Case) -> None:
    """Assert that decoding one token with a cache never synchronises with the device."""
    # Meta tensors hold no data: reading one raises where a device would make the host wait.
    case = replace(case, device=torch.device("meta"))
    part, x = case.build(build), case.x()
    cache = part.new_cache(case.B, slots_of(case))
    ctx = AttentionContext(torch.tensor(0, device=case.device), None, cache, cached_mask(cache, 0, 1, case))
    try:
        part(x[:, :1], ctx)
    except RuntimeError as error:
        raise AssertionError(f"decoding makes the host wait for the device: {error} ({case})") from error


def constant_size_is_declared(build: Build[Attention | Block], case: Case) -> None:
    """Assert that a cache is as large for one position as for many if and only if it is a `ConstantSizeCache`."""
    # With the options' defaults: a window of one position is as short as a sequence of one.
    case, sizes = replace(case, options=(), spare=3), []
    part = case.build(build)
    for length in (1, case.dims().block_size):
        cache, x = part.new_cache(case.B, length), case.draw(f"{length} tokens", case.B, length, case.C)
        with torch.no_grad():
            # One token at a time, because a cache may grow with each pass.
            for t in range(length):
                part(x[:, t : t + 1], AttentionContext(t, None, cache))
        sizes.append(bytes_of(vars(cache)))
    found = f"{type(cache).__name__} has {sizes[0]} bytes after 1 position and {sizes[1]} after {length}"
    if isinstance(cache, ConstantSizeCache) and sizes[0] != sizes[1]:
        raise AssertionError(f"{found}, and inherits ConstantSizeCache ({case})")
    if not isinstance(cache, ConstantSizeCache) and sizes[0] == sizes[1]:
        raise AssertionError(f"{found}, and does not inherit ConstantSizeCache ({case})")


def bytes_of(value: object) -> int:
    """Return the bytes of all tensors in an attribute of a cache, and in containers and caches inside it."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, LayerCache):
        return bytes_of(vars(value))
    if isinstance(value, Mapping):
        return bytes_of([*value.values()])
    return sum(map(bytes_of, value)) if isinstance(value, list | tuple) else 0


def passes(T: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each pass: half of the tokens, then two, then one at a time."""
    half = (T + 1) // 2
    return pairwise(sorted({0, half, *range(min(half + 2, T), T + 1)}))


def splits(case: Case) -> Iterator[list[int]]:
    """Yield where passes begin and end: one token and all the others, chunks of random sizes, single tokens."""
    yield sorted({0, 1, case.T})
    drawn = torch.rand(case.T, generator=generator(case.seed, "where a chunk begins")) < 4 / case.T
    yield sorted({0, *drawn.nonzero().flatten().tolist(), case.T})
    # Many single tokens take long, and other checks decode them.
    if case.T < 10:
        yield [*range(case.T + 1)]


def slots_of(case: Case) -> int:
    """Return the length of a cache: that of the input, plus one slot where the context is longer."""
    return min(case.T + 1, case.dims().block_size)


def cached_mask(cache: LayerCache, start: int, end: int, case: Case) -> Bool[Tensor, "T S"] | None:
    """Return the mask of a pass: each token sees the slots up to its own. Without a slot each there is none."""
    if isinstance(cache, ConstantSizeCache):
        return None
    slots = torch.arange(slots_of(case), device=case.device)
    return slots <= slots[start:end, None]  # (T, S)
