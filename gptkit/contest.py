"""Which attention is the fastest here, of those that are right: one pass of training, forward and backward.

Nobody is timed who does not hold the contract at that very shape, as in the benchmarks: output and gradients equal
to those of `naive`, in `attend` and in the whole part, and dropout at its rate where the recipe has some.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.attention import SoftmaxAttention
from gptkit.conditions import Conditions
from gptkit.errors import GptkitError
from gptkit.hardware import DTYPES, make_deterministic
from gptkit.interfaces import Attention, Place, Position
from gptkit.interleave import Clock, clock_of, median_seconds
from gptkit.memory import kept_for_backward
from gptkit.seeds import seeded
from gptkit.testing.attend_equivalence import expect
from gptkit.testing.case import Build
from gptkit.testing.dropout_laws import dropout_has_its_rate, output_dropout_has_its_rate
from gptkit.testing.gate import failure, reason_against, reason_against_part
from gptkit.testing.guards import TookTooLong, at_most
from gptkit.testing.subject import file_of

# Of the proof of one attention, and of its first pass, which may compile.
PATIENCE_SECONDS = 120.0
# A whole part is proven on no longer input: what it adds to `attend` is position by position.
PART_POSITIONS = 256
# An accelerator answers in microseconds.
CALLS = 10
# Times that an attention drops out, to see its rate.
DRAWS = 32

Builder = Callable[[], Attention]


@dataclass(frozen=True)
class Rival:
    """An attention that may be chosen.

    Args:
        owner: The plugin that offers it, with its version.
        part: Its class.
        options: As the recipe gives them, and defaults.
        build: Makes it for the recipe, on the CPU.
    """

    name: str
    owner: str
    part: type[SoftmaxAttention]
    options: Mapping[str, Any]
    build: Builder


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


def reason_to_refuse(rival: Rival, conditions: Conditions) -> str:
    """Return why an attention does not hold its contract here; or nothing."""
    try:
        with at_most(PATIENCE_SECONDS, file_of(rival.part)):
            return next((reason for reason in reasons(rival, conditions) if reason), "")
    # A stranger's part may raise anything, and `sys.exit` too.
    except (Exception, SystemExit, TookTooLong) as error:
        return said_by(error)


def reasons(rival: Rival, conditions: Conditions) -> Iterator[str | None]:
    """Yield what comes of each proof of an attention: why it fails, or None."""
    build: Build[SoftmaxAttention] = partial(rival.part, **rival.options)
    case, block_size = conditions.case(), conditions.dims.block_size
    # It must take the recipe's own sizes too, some of which no case has.
    rival.build()
    yield reason_against(case.build(build), case)
    T = min(case.T, PART_POSITIONS)
    short = replace(case, B=min(case.B, 2), T=T, spare=block_size - T)
    yield reason_against_part(build, short)
    if conditions.dims.dropout:
        # As long as a head is wide, because a channel then shows the weight of a key.
        square = replace(case, B=1, T=case.D, spare=max(0, block_size - case.D))
        yield failure(lambda: dropout_has_its_rate(build, square, draws=DRAWS), square)
        yield failure(lambda: output_dropout_has_its_rate(build, square, draws=DRAWS), square)


def said_by(error: BaseException) -> str:
    """Return what an attention says that cannot be built, cannot do a pass or does not end one."""
    if isinstance(error, TookTooLong):
        return str(error)
    # What the assembler says of it is for whoever chose it by name.
    cause = error.__cause__ if isinstance(error, GptkitError) and error.__cause__ else error
    return " ".join(f"{type(cause).__name__}: {cause}".split())


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
