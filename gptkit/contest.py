"""Which attention is the fastest here, of those that may be chosen: one pass of training, forward and backward."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.conditions import Conditions
from gptkit.hardware import DTYPES, make_deterministic
from gptkit.interfaces import Place, Position
from gptkit.interleave import Clock, clock_of, median_seconds
from gptkit.memory import kept_for_backward
from gptkit.rival import PATIENCE_SECONDS, Rival, reason_to_refuse, said_by
from gptkit.seeds import seeded
from gptkit.testing.attend_equivalence import expect
from gptkit.testing.guards import TookTooLong, at_most
from gptkit.testing.subject import file_of

# An accelerator answers in microseconds.
CALLS = 10


@dataclass(frozen=True)
class Row:
    """What came of one attention: its time in seconds, or why it was not timed.

    Args:
        kept: Bytes that a pass keeps for its backward pass.
    """

    name: str
    seconds: float | None = None
    why: str = ""
    kept: int = 0


def compete(
    rivals: list[Rival], conditions: Conditions, position: Position, clock: Clock | None = None
) -> list[Row]:
    """Return how long each attention takes, or why it may not be chosen.

    Args:
        position: What turns queries and keys in this model.
        clock: In seconds; the device's by default.
    """
    with determinism(on=conditions.deterministic), seeded(conditions.device, 0, "contest"):
        why = {rival.name: reason_to_refuse(rival, conditions) for rival in rivals}
        # What the proofs of all of them shared, and nobody else needs.
        expect.cache_clear()
        shape = (conditions.rows, conditions.positions, conditions.dims.n_embd)
        x, at = torch.randn(shape, device=conditions.device).requires_grad_(), Place(position=position)
        passes = {rival.name: TrainingPass(rival, x, at, conditions) for rival in rivals if not why[rival.name]}
        calls = {name: each for name, each in passes.items() if each.warm_up()}
        times = 1 if conditions.device.type == "cpu" else CALLS
        seconds = median_seconds(calls, clock or clock_of(conditions.device), times)
    why |= {name: each.failure for name, each in passes.items()}
    return [
        Row(name, why=reason) if reason else Row(name, seconds[name], kept=passes[name].kept)
        for name, reason in why.items()
    ]


class Projected(nn.Module):
    """Stands for a projection to queries, keys and values, whatever the input is: it was done before."""

    def __init__(self, x: Float[Tensor, "B T C"], dtype: torch.dtype) -> None:
        super().__init__()
        B, T, C = x.shape
        self.result = nn.Parameter(torch.randn(B, T, 3 * C, dtype=dtype, device=x.device))

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T _"]:
        """Return the queries, keys and values."""
        return self.result


class TrainingPass:
    """One pass of an attention, forward and backward, as a step of training does it.

    Args:
        failure: Why it could not be done, once it could not.
        kept: Bytes that it keeps for its backward pass, known once it is warm.
    """

    def __init__(self, rival: Rival, x: Float[Tensor, "B T C"], at: Place, conditions: Conditions) -> None:
        self.rival, self.x, self.at, self.conditions = rival, x, at, conditions
        self.failure, self.kept = "", 0

    def warm_up(self) -> bool:
        """Build the attention and pass once, for what is done only the first time; return whether that worked."""
        try:
            with at_most(PATIENCE_SECONDS, file_of(self.rival.part)):
                part = self.rival.build().to(self.conditions.device).train()
                if not self.conditions.is_whole:
                    part.qkv = Projected(self.x, DTYPES[self.conditions.dtype])
                    part.out = nn.Identity()
                self.forward: Any = torch.compile(part) if self.conditions.compile else part
                self.learning = [self.x, *(weight for weight in part.parameters() if weight.requires_grad)]
                self()
                self.kept = kept_for_backward(self.result)
        except (Exception, SystemExit, TookTooLong) as error:
            self.failure = said_by(error)
        return not self.failure

    def __call__(self) -> None:
        """Pass, unless that failed before."""
        if self.failure:
            return
        try:
            y = self.result()
            torch.autograd.grad(y, self.learning, torch.ones_like(y), allow_unused=True)
        except Exception as error:
            self.failure = said_by(error)

    def result(self) -> Float[Tensor, "B T _"]:
        """Return what the pass forward gives."""
        dtype = self.conditions.dtype
        with torch.autocast(self.x.device.type, DTYPES[dtype], enabled=dtype != "fp32"):
            return self.forward(self.x, self.at)


@contextmanager
def determinism(*, on: bool) -> Iterator[None]:
    """Let PyTorch use only algorithms that give the same bits each time, for a while."""
    before = torch.are_deterministic_algorithms_enabled()
    if on:
        make_deterministic()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
