"""Which attention is the fastest here, of those that may be chosen: one pass of training, forward and backward."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.interfaces import AttentionContext, Position
from gptkit.seeds import seeded
from gptkit.testing.attend_equivalence import expect
from gptkit.testing.guards import TookTooLong, at_most
from gptkit.testing.subject import file_of
from gptkit.training.precision import DTYPES, autocast
from gptkit.tuning.candidate import PATIENCE_SECONDS, Candidate, reason_to_refuse, said_by
from gptkit.tuning.determinism import deterministic
from gptkit.tuning.tensor_memory import kept_for_backward
from gptkit.tuning.timing import Clock, clock_of, median_seconds
from gptkit.tuning.timing_conditions import TimingConditions

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


def time_candidates(
    candidates: list[Candidate], conditions: TimingConditions, position: Position, clock: Clock | None = None
) -> list[Row]:
    """Return how long each attention takes, or why it may not be chosen.

    Args:
        position: What turns queries and keys in this model.
        clock: In seconds; the device's by default.
    """
    with deterministic(conditions.deterministic), seeded(conditions.device, 0, "contest"):
        why = {candidate.name: reason_to_refuse(candidate, conditions) for candidate in candidates}
        # What the proofs of all of them shared, and nobody else needs.
        expect.cache_clear()
        shape = (conditions.rows, conditions.positions, conditions.dims.n_embd)
        x, ctx = torch.randn(shape, device=conditions.device).requires_grad_(), AttentionContext(position=position)
        passes = {
            candidate.name: TrainingPass(candidate, x, ctx, conditions)
            for candidate in candidates
            if not why[candidate.name]
        }
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

    def __init__(
        self, candidate: Candidate, x: Float[Tensor, "B T C"], ctx: AttentionContext, conditions: TimingConditions
    ) -> None:
        self.candidate, self.x, self.ctx, self.conditions = candidate, x, ctx, conditions
        self.failure, self.kept = "", 0

    def warm_up(self) -> bool:
        """Build the attention and pass once, for what is done only the first time; return whether that worked."""
        try:
            with at_most(PATIENCE_SECONDS, file_of(self.candidate.part)):
                part = self.candidate.build().to(self.conditions.device).train()
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
        with autocast(self.x.device, dtype):
            return self.forward(self.x, self.ctx)
