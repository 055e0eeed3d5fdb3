"""Laws of every attention, and of every block, which is as blind to the future as the attention in it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from gptkit.interfaces import Attention, Block, Place, Position
from gptkit.testing.accuracy import assert_equal
from gptkit.testing.case import Build, Case


def never_reads_the_future(build: Build[Attention | Block], case: Case) -> None:
    """Assert that no position depends on a later one."""
    part, x = case.build(build), case.x()
    other = case.scale * case.draw("another future", *x.shape)
    y = part(x)
    for t in range(1, case.T):
        changed = part(torch.cat((x[:, :t], other[:, t:]), dim=1))
        assert_equal(
            changed[:, :t], y[:, :t], f"the output before position {t}, from which on the input changed", case
        )


def cache_changes_nothing(
    build: Build[Attention | Block],
    case: Case,
    position: Build[Position] | None = None,
    *,
    first_on_device: bool = False,
) -> None:
    """Assert that one pass over some tokens and one for each further one give what a pass over all gives.

    Args:
        position: Builds what turns the queries and keys.
        first_on_device: Whether the position of a pass's first token is a tensor, so that nothing waits for it.
    """
    part, x = case.build(build), case.x()
    turn = None if position is None else case.build(position)
    whole = part(x, Place(position=turn))
    memory = part.new_memory(case.B, case.dims().block_size)
    with torch.no_grad():
        for start, end in passes(case.T):
            first = torch.tensor(start, device=case.device) if first_on_device else start
            at = Place(first, turn, memory, visible_slots(start, end, case))
            found = part(x[:, start:end], at)
            assert_equal(found, whole[:, start:end], f"positions {start} to {end - 1} behind a cache", case)


def decoding_waits_for_nothing(
    build: Build[Attention | Block], case: Case, position: Build[Position] | None = None
) -> None:
    """Assert that a pass of one token behind a memory never asks the device for a number.

    Args:
        position: Builds what turns the queries and keys.
    """
    # Tensors of this device have no numbers, and raise when they are asked for one.
    case = replace(case, device=torch.device("meta"))
    part, x = case.build(build), case.x()
    turn = None if position is None else case.build(position)
    memory = part.new_memory(case.B, case.dims().block_size)
    at = Place(torch.tensor(0, device=case.device), turn, memory, visible_slots(0, 1, case))
    try:
        part(x[:, :1], at)
    except RuntimeError as error:
        raise AssertionError(f"decoding waits for the device: {error} ({case})") from error


def passes(T: int) -> Iterator[tuple[int, int]]:
    """Yield the first position and the end of each pass: about half of the tokens, then one by one."""
    return pairwise((0, *range((T + 1) // 2, T + 1)))


def visible_slots(start: int, end: int, case: Case) -> Tensor:
    """Return which slots of a memory for a whole context the tokens of a pass see: those up to their own."""
    slots = torch.arange(case.dims().block_size, device=case.device)
    return slots <= slots[start:end, None]  # (T, S)
