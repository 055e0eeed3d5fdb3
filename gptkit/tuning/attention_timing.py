"""Proves each attention that `auto` may choose at the shape it would be trained at, and times those that hold.

The proof is that of the benchmarks: output and gradients equal to those of `naive`, in `attend` and in the whole
part, and dropout at its rate where the recipe has some. Timed is one forward and backward pass.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.errors import GptkitError
from gptkit.interfaces import Attention, AttentionContext, Position, Tolerance
from gptkit.nn import SoftmaxAttention
from gptkit.seeds import seeded
from gptkit.testing.accuracy import declared_by
from gptkit.testing.attend_equivalence import expect
from gptkit.testing.case import Build
from gptkit.testing.gate import failure, reason_against, reason_against_part
from gptkit.testing.guards import TookTooLong, at_most
from gptkit.testing.laws.dropout import dropout_has_its_rate, output_dropout_has_its_rate
from gptkit.testing.subject import file_of
from gptkit.training.precision import DTYPES, autocast
from gptkit.tuning.determinism import deterministic
from gptkit.tuning.tensor_memory import kept_for_backward
from gptkit.tuning.timing import clock, median_seconds
from gptkit.tuning.timing_conditions import TimingConditions

# For the proof of one attention, and for its first pass, which may compile.
TIMEOUT_SECONDS = 120.0
# The whole part is proven on shorter inputs than `attend`: what it adds is computed position by position.
PART_POSITIONS = 256
# Forward passes with dropout, to estimate its rate.
DRAWS = 32
# Calls in a row on an accelerator, where a single one takes microseconds.
CALLS = 10


@dataclass(frozen=True)
class Candidate:
    """An attention that may be chosen.

    Args:
        owner: The plugin that offers it, with its version.
        options: As the recipe gives them, and defaults.
        build: Makes it for the recipe, on the CPU.
    """

    name: str
    owner: str
    part: type[SoftmaxAttention]
    options: Mapping[str, Any]
    build: Callable[[], Attention]


@dataclass(frozen=True)
class AttentionTime:
    """The time of one attention, or why it may not be chosen.

    Args:
        seconds: Of one forward and backward pass; None if it may not be chosen.
        reason: Why it may not be chosen; empty if it may.
        bytes_kept: What the forward pass keeps for backward.
    """

    name: str
    seconds: float | None = None
    reason: str = ""
    bytes_kept: int = 0


def time_candidates(
    candidates: list[Candidate], conditions: TimingConditions, position: Position
) -> list[AttentionTime]:
    """Return the time of each attention, or why it may not be chosen."""
    device = conditions.device
    with deterministic(conditions.deterministic), seeded(device, 0, "contest"):
        shape = (conditions.rows, conditions.positions, conditions.dims.n_embd)
        x, ctx = torch.randn(shape, device=device).requires_grad_(), AttentionContext(position=position)
        passes = {each.name: TrainingPass(each, x, ctx, conditions) for each in candidates}
        for each in passes.values():
            each.attempt(each.prove)
        # Frees the reference results, which the proofs shared.
        expect.cache_clear()
        for each in passes.values():
            each.attempt(each.warm_up)
        calls = {name: each for name, each in passes.items() if not each.failure}
        times = 1 if device.type == "cpu" else CALLS
        seconds = median_seconds(calls, partial(clock, device), times)
    return [
        AttentionTime(name, None if each.failure else seconds[name], each.failure, each.bytes_kept)
        for name, each in passes.items()
    ]


class PrecomputedProjection(nn.Module):
    """Returns precomputed queries, keys and values, so that only `attend` is timed."""

    def __init__(self, x: Float[Tensor, "B T C"], dtype: torch.dtype) -> None:
        super().__init__()
        B, T, C = x.shape
        self.result = nn.Parameter(torch.randn(B, T, 3 * C, dtype=dtype, device=x.device))

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T _"]:
        """Return the queries, keys and values, whatever the input is."""
        return self.result


class TrainingPass:
    """One forward and backward pass of an attention, as a training step computes it.

    Args:
        failure: Why the attention may not be chosen; empty if it may.
        bytes_kept: What the forward pass keeps for backward, known after `warm_up`.
    """

    def __init__(
        self, candidate: Candidate, x: Float[Tensor, "B T C"], ctx: AttentionContext, conditions: TimingConditions
    ) -> None:
        self.candidate, self.x, self.ctx, self.conditions = candidate, x, ctx, conditions
        self.failure, self.bytes_kept = "", 0

    def attempt(self, work: Callable[[], None]) -> None:
        """Do some work with a time limit, unless something failed before."""
        if self.failure:
            return
        try:
            with at_most(TIMEOUT_SECONDS, file_of(self.candidate.part)):
                work()
        # A third-party part may raise anything, and call `sys.exit` too.
        except (Exception, SystemExit, TookTooLong) as error:
            self.failure = format_error(error)

    def prove(self) -> None:
        """Check whether the attention holds its contract here."""
        self.failure = next(filter(None, failed_proofs(self.candidate, self.conditions)), "")

    def warm_up(self) -> None:
        """Build the attention and run the first pass, which may compile."""
        part: Any = self.candidate.build().to(self.conditions.device).train()
        if not self.conditions.is_whole:
            part.qkv = PrecomputedProjection(self.x, DTYPES[self.conditions.dtype])
            part.out = nn.Identity()
        self.attention = torch.compile(part) if self.conditions.compile else part
        self.trained = [self.x, *(weight for weight in part.parameters() if weight.requires_grad)]
        self()
        self.bytes_kept = kept_for_backward(self.forward)

    def __call__(self) -> None:
        """Run forward and backward, unless a pass failed before."""
        if self.failure:
            return
        try:
            y = self.forward()
            torch.autograd.grad(y, self.trained, torch.ones_like(y), allow_unused=True)
        except Exception as error:
            self.failure = format_error(error)

    def forward(self) -> Float[Tensor, "B T _"]:
        """Return the output of the attention."""
        with autocast(self.x.device, self.conditions.dtype):
            return self.attention(self.x, self.ctx)


def failed_proofs(candidate: Candidate, conditions: TimingConditions) -> Iterator[str | None]:
    """Yield for each proof of an attention why it fails, or None if it holds."""
    build: Build[SoftmaxAttention] = partial(candidate.part, **candidate.options)
    if declared_by(candidate.part) != Tolerance():
        yield "it declares a tolerance, and what 'auto' chooses must not change the results: choose it by name"
        return
    case, block_size = conditions.case(), conditions.dims.block_size
    # Building it with the recipe's own sizes may fail too; no case has all of them.
    candidate.build()
    yield reason_against(case.build(build), case)
    T = min(case.T, PART_POSITIONS)
    yield reason_against_part(build, replace(case, B=min(case.B, 2), T=T, spare=block_size - T))
    if conditions.dims.dropout:
        # As many positions as a head has channels, because each channel then shows the weight of one key.
        square = replace(case, B=1, T=case.D, spare=max(0, block_size - case.D))
        for law in (dropout_has_its_rate, output_dropout_has_its_rate):
            yield failure(partial(law, build, square, draws=DRAWS), square)


def format_error(error: BaseException) -> str:
    """Return in one line why an attention cannot be built or run, or took too long."""
    if isinstance(error, TookTooLong):
        return str(error)
    # The assembler's own message is about a part that the recipe names; its cause is the attention's.
    cause = error.__cause__ if isinstance(error, GptkitError) and error.__cause__ else error
    return " ".join(f"{type(cause).__name__}: {cause}".split())
