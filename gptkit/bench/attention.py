"""The race of the attentions: each is timed only once it is known to be right at that very shape."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from gptkit.bench.attention_passes import (
    BOTH,
    Given,
    attend_inputs,
    attend_passes,
    operations,
    whole_inputs,
    whole_passes,
)
from gptkit.bench.clock import Contestant, Rounds, interleaved
from gptkit.bench.memory import peak_bytes
from gptkit.bench.row import Row, Spread, rows_of
from gptkit.interfaces import Attention
from gptkit.nn import SoftmaxAttention
from gptkit.registry.registry import Registry
from gptkit.testing.attend_equivalence import attends_as_reference
from gptkit.testing.case import Case
from gptkit.testing.gate import failure, reason_against_part
from gptkit.testing.subject import registered
from gptkit.tuning.matmul_rate import matmul_peak
from gptkit.tuning.tensor_memory import kept_for_backward

# The others compute what it does: it is what they are compared with.
REFERENCE = "naive"

# Any, because no annotation takes an abstract class and gives its subclasses.
Attentions = Mapping[str, Any]


def with_attend(registry: Registry) -> dict[str, Any]:
    """Return the registered attentions whose `attend` can be timed, by name."""
    return registered(SoftmaxAttention, registry)


def to_time_whole(registry: Registry) -> dict[str, Any]:
    """Return the registered attentions by name, if there is one among them that has no `attend` to compare."""
    attentions = registered(Attention, registry)
    return {} if attentions.keys() == with_attend(registry).keys() else attentions


def label(case: Case) -> str:
    """Return where and on what a time was taken: device, dtype, B, H, T and D."""
    return f"{case.device} {str(case.dtype).removeprefix('torch.')} {case.B}x{case.H}x{case.T}x{case.D}"


def time_attend(attentions: Attentions, case: Case, which: str, rounds: Rounds) -> list[Row]:
    """Return a row for each attention's `attend`, with its rate and its memory, or the reason why it has no time.

    Args:
        which: The pass.
    """
    reasons = {name: reason_against_attend(part, case) for name, part in attentions.items()}
    inputs = attend_inputs(case)

    def enter(name: str) -> Contestant:
        return attend_passes(name, case.build(attentions[name]), inputs)[which]

    rows = race(f"attend {which}, {label(case)}", enter, reasons, case, rounds)
    peak = matmul_peak(case.device, case.dtype)
    rows = [with_rate(row, operations(case, which), peak) for row in rows]
    return [with_kept(row, case.build(attentions[row.name]), inputs[0]) for row in rows] if which == BOTH else rows


def time_whole(attentions: Attentions, case: Case, which: str, rounds: Rounds) -> list[Row]:
    """Return a row for each whole attention, projections and all; how many operations it needs, it alone knows.

    Args:
        which: The pass.
    """
    reasons = {name: reason_against_whole(part, case) for name, part in attentions.items()}
    inputs = whole_inputs(case)

    def enter(name: str) -> Contestant:
        return whole_passes(name, case.build(attentions[name]), inputs)[which]

    return race(f"whole {which}, {label(case)}", enter, reasons, case, rounds)


# Either is the same for each pass.
@cache
def reason_against_attend(part: Any, case: Case) -> str | None:
    """Return why an attention's `attend` may not be timed on an input, or None if it may."""
    return failure(lambda: attends_as_reference(part, case), case)


@cache
def reason_against_whole(part: Any, case: Case) -> str | None:
    """Return why a whole attention may not be timed on an input, or None if it may."""
    return reason_against_part(part, case)


def race(
    group: str, enter: Callable[[str], Contestant], reasons: Mapping[str, str | None], case: Case, rounds: Rounds
) -> list[Row]:
    """Return a row for each attention: timed in turns, unless there is a reason against it.

    Args:
        enter: Returns what to time of the attention of a name.
    """
    against = {name: reason for name, reason in reasons.items() if reason is not None}
    entered: list[Contestant] = []
    facts: dict[str, dict[str, Any]] = {}
    for name in (name for name in reasons if name not in against):
        try:
            contestant = enter(name)
            facts[name] = memory_of(contestant, case)
        # Memory may run out here where a proof, which goes from head to head, fitted; and a stranger's kernel may
        # raise whatever it likes.
        except Exception as error:
            against[name] = f"{type(error).__name__}: {error} ({case})"
        else:
            entered.append(contestant)
    rows = rows_of(group, interleaved(entered, rounds, case.device), REFERENCE, facts)
    return [*rows, *(Row(group, name, reason=reason) for name, reason in against.items())]


def memory_of(contestant: Contestant, case: Case) -> dict[str, int]:
    """Return the most bytes that a call needs beyond what was held before it, where that can be known."""
    if case.device.type not in ("cpu", "cuda"):
        return {}
    if contestant.ready is None:
        return {"peak bytes": peak_bytes(contestant.call, case.device)}
    given = contestant.ready()
    return {"peak bytes": peak_bytes(lambda: contestant.call(given), case.device)}


def with_kept(row: Row, attention: SoftmaxAttention, given: Given) -> Row:
    """Return a row with the bytes that `attend` keeps for its backward pass, its arguments among them."""
    if not row.seconds:
        return row
    kept = kept_for_backward(lambda: attention.attend(*given.arguments))
    return replace(row, facts={**row.facts, "kept bytes": kept})


def with_rate(row: Row, needed: float, peak: float) -> Row:
    """Return a row with the operations a second, and the share that they are of the matrix products' peak."""
    if not row.seconds:
        return row
    rate = needed / Spread.of(row.seconds).median
    return replace(row, facts={**row.facts, "FLOP/s": rate, "share of peak": rate / peak, "peak FLOP/s": peak})
