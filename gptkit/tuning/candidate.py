"""Who may be chosen: an attention that holds its contract at the very shape that it would be trained at.

As in the benchmarks: output and gradients equal to those of `naive`, in `attend` and in the whole part, and
dropout at its rate where the recipe has some.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gptkit.errors import GptkitError
from gptkit.interfaces import Attention
from gptkit.nn import SoftmaxAttention
from gptkit.testing.case import Build
from gptkit.testing.gate import failure, reason_against, reason_against_part
from gptkit.testing.guards import TookTooLong, at_most
from gptkit.testing.laws.dropout import dropout_has_its_rate, output_dropout_has_its_rate
from gptkit.testing.subject import file_of
from gptkit.tuning.timing_conditions import TimingConditions

# Of the proof of one attention, and of its first pass, which may compile.
PATIENCE_SECONDS = 120.0
# A whole part is proven on no longer input: what it adds to `attend` is position by position.
PART_POSITIONS = 256
# Times that an attention drops out, to see its rate.
DRAWS = 32

Builder = Callable[[], Attention]


@dataclass(frozen=True)
class Candidate:
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


def reason_to_refuse(candidate: Candidate, conditions: TimingConditions) -> str:
    """Return why an attention does not hold its contract here; or nothing."""
    try:
        with at_most(PATIENCE_SECONDS, file_of(candidate.part)):
            return next((reason for reason in reasons(candidate, conditions) if reason), "")
    # A stranger's part may raise anything, and `sys.exit` too.
    except (Exception, SystemExit, TookTooLong) as error:
        return said_by(error)


def reasons(candidate: Candidate, conditions: TimingConditions) -> Iterator[str | None]:
    """Yield what comes of each proof of an attention: why it fails, or None."""
    build: Build[SoftmaxAttention] = partial(candidate.part, **candidate.options)
    case, block_size = conditions.case(), conditions.dims.block_size
    # It must take the recipe's own sizes too, some of which no case has.
    candidate.build()
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
