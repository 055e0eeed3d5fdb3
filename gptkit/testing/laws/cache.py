"""Laws of what an attention or a block remembers: generation token by token gives what one pass over all gives."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import torch
from jaxtyping import Bool
from torch import Tensor

from gptkit.interfaces import Attention, AttentionContext, Block, LayerCache, Position
from gptkit.testing.accuracy import assert_equal
from gptkit.testing.case import Build, Case
from gptkit.testing.laws.state import uninitialised_is_nan
from gptkit.testing.stand_in_parts import PositionByScale
from gptkit.testing.weights import draw_weights


def cache_changes_nothing(build: Build[Attention | Block], case: Case) -> None:
    """Assert that one pass over some tokens and one for each further one give what a pass over all gives."""
    goes_on(build, case, None, first_on_device=False)


def cache_keeps_positions(build: Build[Attention | Block], case: Case) -> None:
    """Assert the same where queries and keys are turned by their position, and where that stays on the device."""
    position = PositionByScale(case.dims())
    for first_on_device in (False, True):
        goes_on(build, case, position, first_on_device=first_on_device)


def goes_on(
    build: Build[Attention | Block], case: Case, position: Position | None, *, first_on_device: bool
) -> None:
    """Assert that passes behind a memory give what one pass over all tokens gives.

    Args:
        first_on_device: Whether the position of a pass's first token is a tensor, so that nothing waits for it.
    """
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    whole = part(x, AttentionContext(position=position))
    # What a memory holds before anything was written must not come through.
    with uninitialised_is_nan():
        cache = part.new_cache(case.B, slots_of(case))
    with torch.no_grad():
        for start, end in passes(case.T):
            start_pos = torch.tensor(start, device=case.device) if first_on_device else start
            found = part(
                x[:, start:end], AttentionContext(start_pos, position, cache, cached_mask(start, end, case))
            )
            assert_equal(found, whole[:, start:end], f"positions {start} to {end - 1} behind a memory", case)


def caches_are_apart(build: Build[Attention | Block], case: Case) -> None:
    """Assert that two sequences written in turn, each with a memory of its own, do not see each other."""
    part = case.build(build)
    draw_weights(part, case)
    sequences = [case.x(), case.scale * case.draw("another sequence", case.B, case.T, case.C)]
    caches: list[LayerCache] = [part.new_cache(case.B, slots_of(case)) for _ in sequences]
    wholes = [part(x) for x in sequences]
    with torch.no_grad():
        for t in range(case.T):
            for n, (x, cache, whole) in enumerate(zip(sequences, caches, wholes, strict=True)):
                found = part(x[:, t : t + 1], AttentionContext(t, None, cache, cached_mask(t, t + 1, case)))
                what = f"position {t} of sequence {n}, written in turn with another"
                assert_equal(found, whole[:, t : t + 1], what, case)


def decoding_waits_for_nothing(build: Build[Attention | Block], case: Case) -> None:
    """Assert that a pass of one token behind a memory never asks the device for a number."""
    # Tensors of this device have no numbers, and raise when they are asked for one.
    case = replace(case, device=torch.device("meta"))
    part, x = case.build(build), case.x()
    cache = part.new_cache(case.B, slots_of(case))
    ctx = AttentionContext(torch.tensor(0, device=case.device), None, cache, cached_mask(0, 1, case))
    try:
        part(x[:, :1], ctx)
    except RuntimeError as error:
        raise AssertionError(f"decoding waits for the device: {error} ({case})") from error


def passes(T: int) -> Iterator[tuple[int, int]]:
    """Yield the first position and the end of each pass: half of the tokens, two more, then one by one."""
    half = (T + 1) // 2
    return pairwise(sorted({0, half, *range(min(half + 2, T), T + 1)}))


def slots_of(case: Case) -> int:
    """Return the length of a memory: that of the tokens, and one more where the context is longer than they."""
    return min(case.T + 1, case.dims().block_size)


def cached_mask(start: int, end: int, case: Case) -> Bool[Tensor, "T S"]:
    """Return which slots of a memory the tokens of a pass see: those up to their own."""
    slots = torch.arange(slots_of(case), device=case.device)
    return slots <= slots[start:end, None]  # (T, S)
