"""Laws of every position."""

from dataclasses import replace

import torch

from gptkit.interfaces import Position
from gptkit.testing.accuracy import assert_like, assert_same
from gptkit.testing.case import Build, Case
from gptkit.testing.stand_in_parts import PositionPass
from gptkit.testing.weights import draw_weights


def position_of(build: Build[PositionPass], case: Case) -> Position:
    """Build the part, and return the position that it wraps."""
    part = case.build(build)
    draw_weights(part, case)
    return part.position


def starts_anywhere(build: Build[PositionPass], case: Case) -> None:
    """Assert that results from `start_pos` on are the same with and without the tokens before them."""
    position, x = position_of(build, case), case.x()
    q, k, _ = (each[:, :, : case.T] for each in case.qkv())
    whole = (position.embed(x, 0), *position.rotate(q, k, 0))
    for start in range(case.T):
        for start_pos in (start, torch.tensor(start, device=case.device)):
            found = (
                position.embed(x[:, start:], start_pos),
                *position.rotate(q[:, :, start:], k[:, :, start:], start_pos),
            )
            for name, each, expected in zip(("embeddings", "queries", "keys"), found, whole, strict=True):
                what = f"{name} from start_pos={start_pos!r} on"
                assert_same(each, expected.narrow(-2, start, case.T - start), what, case)


def reads_positions_on_the_device(build: Build[PositionPass], case: Case) -> None:
    """Assert that a `start_pos` on the device is never read by the host."""
    # Meta tensors hold no data: reading one raises where a device would make the host wait.
    case = replace(case, device=torch.device("meta"))
    position, x, start_pos = case.build(build).position, case.x(), torch.tensor(1, device="meta")
    q, k, _ = (each[:, :, : case.T] for each in case.qkv())
    try:
        found = (position.embed(x, start_pos), *position.rotate(q, k, start_pos))
    except RuntimeError as error:
        raise AssertionError(f"it makes the host wait for `start_pos` on the device: {error} ({case})") from error
    for name, each, given in zip(("embeddings", "queries", "keys"), found, (x, q, k), strict=True):
        assert_like(each, given, name, case)


def position_mutates_nothing(build: Build[PositionPass], case: Case) -> None:
    """Assert that `embed` and `rotate` do not modify their inputs."""
    position, x = position_of(build, case), case.x()
    q, k, _ = (each[:, :, : case.T] for each in case.qkv())
    given = {"embeddings": x, "queries": q, "keys": k}
    before = {name: each.clone() for name, each in given.items()}
    position.embed(x, 0)
    position.rotate(q, k, 0)
    for name, each in given.items():
        assert_same(each, before[name], f"{name} after `embed` and `rotate`", case)
