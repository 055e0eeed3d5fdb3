"""Time and memory against the length of the context, as far as this machine can go."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from gptkit.bench.attention import Attentions, reason_against_attend, time_attend
from gptkit.bench.attention_passes import BOTH
from gptkit.bench.clock import Rounds
from gptkit.bench.row import Row, Spread
from gptkit.testing.case import Case
from gptkit.tuning.free_memory import free_memory

FIRST = 128
LAST_ON_CUDA, LAST_ELSEWHERE = 16384, 4096
# Of one pass; some ten of them make a point of the curve.
LONGEST_SECONDS = 20.0
# What a context twice as long takes at worst: an attention may keep all scores.
GROWTH = 4


@dataclass(frozen=True)
class Curves:
    """What came of it.

    Args:
        points: For each attention, its row at each context.
        stopped: For each attention that did not go all the way, why.
        wrong: Those of them that are not right.
    """

    points: dict[str, dict[int, Row]]
    stopped: dict[str, str]
    wrong: frozenset[str]


def contexts(device: torch.device) -> list[int]:
    """Return the lengths to try, each twice the one before."""
    last = LAST_ON_CUDA if device.type == "cuda" else LAST_ELSEWHERE
    return [FIRST << i for i in range((last // FIRST).bit_length())]


def curves(
    attentions: Attentions,
    lengths: Sequence[int],
    case: Case,
    rounds: Rounds,
    *,
    longest_seconds: float = LONGEST_SECONDS,
) -> Curves:
    """Time each attention forward and backward on one sequence of each length, until it can go no further.

    Args:
        case: Has the heads and all else but the length.
        longest_seconds: What a pass may take, as far as it can be foreseen.
    """
    found = Curves({name: {} for name in attentions}, {}, frozenset())
    for T in lengths:
        at = replace(case, B=1, T=T)
        for name, rows in found.points.items():
            if rows and name not in found.stopped and (why := foreseen(last(rows), at.device, longest_seconds)):
                found.stopped[name] = f"stopped before a context of {T:,}: {why}"
        running = {name: part for name, part in attentions.items() if name not in found.stopped}
        for row in time_attend(running, at, BOTH, rounds) if running else ():
            if row.reason:
                found.stopped[row.name] = f"stopped at a context of {T:,}: {row.reason}"
                if reason_against_attend(attentions[row.name], at):
                    found = replace(found, wrong=found.wrong | {row.name})
            else:
                found.points[row.name][T] = row
    return found


def last(rows: dict[int, Row]) -> Row:
    """Return the row of the longest context."""
    return rows[max(rows)]


def foreseen(row: Row, device: torch.device, longest_seconds: float) -> str:
    """Return why a context twice as long is too long, given what one took; nothing if it is not."""
    seconds, held = GROWTH * Spread.of(row.seconds).median, GROWTH * row.facts.get("peak bytes", 0)
    if seconds > longest_seconds:
        return f"a pass could take {seconds:.3g} s, and {longest_seconds:g} s is the limit"
    if held and held > (free := free_memory(device)):
        return f"a pass could need {held / 2**30:.3g} GB, and {free / 2**30:.3g} GB are free"
    return ""
