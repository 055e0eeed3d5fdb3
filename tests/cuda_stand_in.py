"""A stand-in for the part of `torch.cuda` that captures graphs, which tells in what order it was called."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch


class StandInStream(torch.cuda.Stream):
    """A stream that notes which others it waits for."""

    def __new__(cls, calls: list[str], name: str) -> "StandInStream":
        return object.__new__(cls)

    def __init__(self, calls: list[str], name: str) -> None:
        self.calls, self.name = calls, name

    def wait_stream(self, stream: Any) -> None:
        self.calls.append(f"{self.name} waits for {stream.name}")


class StandInGraph(torch.cuda.CUDAGraph):
    """A graph that computes nothing when it is replayed."""

    calls: list[str]

    def __new__(cls) -> "StandInGraph":
        return object.__new__(cls)

    def __init__(self) -> None:
        """Build none of what the real one has."""

    def __del__(self) -> None:
        """Let go of none of it."""

    def replay(self) -> None:
        self.calls.append("replay")


def replace_cuda(patch: pytest.MonkeyPatch) -> list[str]:
    """Put the stand-in in the place of `torch.cuda`, on a machine whose second card is the current one.

    Returns the calls, in order; a test may add what it does meanwhile.
    """
    calls: list[str] = []
    current, modes = [StandInStream(calls, "main")], [0]

    @contextmanager
    def within(stream: StandInStream, entered: str = "on") -> Iterator[None]:
        calls.append(f"{entered} {stream.name}")
        current.append(stream)
        yield
        current.pop()
        calls.append("back")

    def set_mode(mode: int | str) -> None:
        modes[0] = {"error": 2}.get(str(mode), 0)
        calls.append(f"waiting is {'an error' if modes[0] else 'allowed'}")

    stand_in: dict[str, Any] = {
        "current_device": lambda: 1,
        "Stream": lambda device: StandInStream(calls, f"side of {device}"),
        "current_stream": lambda: current[-1],
        "stream": within,
        "CUDAGraph": type("Graph", (StandInGraph,), {"calls": calls}),
        "graph": lambda graph, *, stream: within(stream, "capture on"),
        "get_sync_debug_mode": lambda: modes[0],
        "set_sync_debug_mode": set_mode,
        "get_rng_state": lambda device: torch.zeros(16),
        "set_rng_state": lambda state, device: None,
    }
    for name, value in stand_in.items():
        patch.setattr(torch.cuda, name, value)
    return calls
