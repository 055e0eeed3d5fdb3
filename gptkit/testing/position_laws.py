"""Laws of every position."""

import torch

from gptkit.interfaces import Position
from gptkit.testing.accuracy import assert_same
from gptkit.testing.case import Build, Case


def starts_anywhere(build: Build[Position], case: Case) -> None:
    """Assert that later tokens alone, given where their first stands, get what they get behind earlier ones."""
    position, x = case.build(build), case.x()
    q, k, _ = (each[:, :, : case.T] for each in case.qkv())
    whole = (position.embed(x, 0), *position.turn(q, k, 0))
    for start in range(case.T):
        for first in (start, torch.tensor(start, device=case.device)):
            found = (
                position.embed(x[:, start:], first),
                *position.turn(q[:, :, start:], k[:, :, start:], first),
            )
            for name, each, expected in zip(("embeddings", "queries", "keys"), found, whole, strict=True):
                assert_same(each, expected.narrow(-2, start, case.T - start), f"{name} from {first!r} on", case)


def position_mutates_nothing(build: Build[Position], case: Case) -> None:
    """Assert that embeddings, queries and keys are left as they were."""
    position, x = case.build(build), case.x()
    q, k, _ = (each[:, :, : case.T] for each in case.qkv())
    given = {"embeddings": x, "queries": q, "keys": k}
    before = {name: each.clone() for name, each in given.items()}
    position.embed(x, 0)
    position.turn(q, k, 0)
    for name, each in given.items():
        assert_same(each, before[name], f"{name} after they were given to a position", case)
