"""Laws of every position."""

from dataclasses import replace

import torch

from gptkit.interfaces import Position
from gptkit.testing.accuracy import assert_like, assert_same
from gptkit.testing.case import Build, Case
from gptkit.testing.stand_in_parts import PositionPass
from gptkit.testing.weights import draw_weights


def position_of(build: Build[PositionPass], case: Case) -> Position:
    """Return the position in the module that stands for it."""
    part = case.build(build)
    draw_weights(part, case)
    return part.position


def starts_anywhere(build: Build[PositionPass], case: Case) -> None:
    """Assert that later tokens alone, given where their first stands, get what they get behind earlier ones."""
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
                assert_same(
                    each, expected.narrow(-2, start, case.T - start), f"{name} from {start_pos!r} on", case
                )


def reads_positions_on_the_device(build: Build[PositionPass], case: Case) -> None:
    """Assert that a first position which is a tensor is never asked for its number."""
    # Tensors of this device have no numbers, and raise when they are asked for one.
    case = replace(case, device=torch.device("meta"))
    position, x, start_pos = case.build(build).position, case.x(), torch.tensor(1, device="meta")
    q, k, _ = (each[:, :, : case.T] for each in case.qkv())
    try:
        found = (position.embed(x, start_pos), *position.rotate(q, k, start_pos))
    except RuntimeError as error:
        raise AssertionError(f"it waits for the device to say where the tokens stand: {error} ({case})") from error
    for name, each, given in zip(("embeddings", "queries", "keys"), found, (x, q, k), strict=True):
        assert_like(each, given, name, case)


def position_mutates_nothing(build: Build[PositionPass], case: Case) -> None:
    """Assert that embeddings, queries and keys are left as they were."""
    position, x = position_of(build, case), case.x()
    q, k, _ = (each[:, :, : case.T] for each in case.qkv())
    given = {"embeddings": x, "queries": q, "keys": k}
    before = {name: each.clone() for name, each in given.items()}
    position.embed(x, 0)
    position.rotate(q, k, 0)
    for name, each in given.items():
        assert_same(each, before[name], f"{name} after they were given to a position", case)
