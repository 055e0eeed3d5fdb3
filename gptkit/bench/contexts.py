"""Time and memory against context length, as far as this machine can go."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from gptkit.bench.attention import Attentions, reason_against_attend, time_attend
from gptkit.bench.attention_passes import BOTH
from gptkit.bench.clock import Rounds
from gptkit.bench.result import BenchResult, Spread
from gptkit.testing.case import Case
from gptkit.tuning.free_memory import free_memory

FIRST = 128
LAST_ON_CUDA, LAST_ELSEWHERE = 16384, 4096
# Limit of one pass; a point of the curve takes about ten.
LONGEST_SECONDS = 20.0
# Cost of doubling the context, at worst: an attention may keep all scores.
GROWTH = 4


@dataclass(frozen=True)
class TooSlow:
    """A pass at the next context was not tried: it could take longer than the limit in seconds."""

    context: int
    seconds: float
    limit: float


@dataclass(frozen=True)
class TooLarge:
    """A pass at the next context was not tried: it could need more bytes than are free."""

    context: int
    needed: int
    free: int


@dataclass(frozen=True)
class Failed:
    """An attention failed at a context, or is not correct there."""

    context: int
    reason: str
    is_wrong: bool


EarlyEnd = TooSlow | TooLarge | Failed


@dataclass(frozen=True)
class Curves:
    """Results by attention and context.

    Args:
        points: For each attention, its result at each context.
        ended: Why an attention was not timed at every context.
    """

    points: dict[str, dict[int, BenchResult]]
    ended: dict[str, EarlyEnd]

    @property
    def are_correct(self) -> bool:
        """Whether no attention was found to be wrong."""
        return not any(isinstance(end, Failed) and end.is_wrong for end in self.ended.values())


def contexts(device: torch.device) -> list[int]:
    """Return the context lengths to try, each twice the one before."""
    last = LAST_ON_CUDA if device.type == "cuda" else LAST_ELSEWHERE
    return [FIRST << i for i in range((last // FIRST).bit_length())]


def context_curves(
    attentions: Attentions,
    lengths: Sequence[int],
    case: Case,
    rounds: Rounds,
    *,
    longest_seconds: float = LONGEST_SECONDS,
) -> Curves:
    """Time each attention forward and backward on one sequence of each length, until it can go no further.

    Args:
        case: Everything but batch size and length.
        longest_seconds: Predicted seconds of a pass above which it is not tried.
    """
    curves = Curves({name: {} for name in attentions}, {})
    for T in lengths:
        case_at = replace(case, B=1, T=T)
        for name, results in curves.points.items():
            if results and name not in curves.ended:
                before = results[max(results)]
                if end := predicted_end(before, T, case.device, longest_seconds):
                    curves.ended[name] = end
        running = {name: part for name, part in attentions.items() if name not in curves.ended}
        for result in time_attend(running, case_at, BOTH, rounds) if running else ():
            if result.reason:
                is_wrong = reason_against_attend(attentions[result.name], case_at) is not None
                curves.ended[result.name] = Failed(T, result.reason, is_wrong)
            else:
                curves.points[result.name][T] = result
    return curves


def predicted_end(
    before: BenchResult, context: int, device: torch.device, longest_seconds: float
) -> TooSlow | TooLarge | None:
    """Return why a context should not be tried, or None if it should.

    Args:
        before: The result at half that context.
    """
    seconds, needed = GROWTH * Spread.of(before.seconds).median, GROWTH * (before.details.peak_bytes or 0)
    if seconds > longest_seconds:
        return TooSlow(context, seconds, longest_seconds)
    if needed and needed > (free := free_memory(device)):
        return TooLarge(context, needed, free)
    return None
