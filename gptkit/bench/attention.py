"""Times attentions against each other, each only after it has proved correct at that very shape."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from gptkit.bench.attention_passes import (
    BOTH,
    PassInputs,
    attend_inputs,
    attend_passes,
    operations,
    whole_inputs,
    whole_passes,
)
from gptkit.bench.clock import Rounds, TimedCall, time_interleaved
from gptkit.bench.memory import peak_bytes
from gptkit.bench.result import BenchResult, Details, Spread, results_of
from gptkit.interfaces import Attention
from gptkit.nn import SoftmaxAttention
from gptkit.registry.registry import Registry
from gptkit.testing.attend_equivalence import attends_as_reference
from gptkit.testing.case import Case
from gptkit.testing.gate import failure, reason_against_part
from gptkit.testing.subject import registered
from gptkit.tuning.matmul_rate import matmul_peak
from gptkit.tuning.tensor_memory import kept_for_backward

# All others compute what it computes, so they are compared with it.
REFERENCE = "naive"

# Any, because no annotation accepts an abstract class and yields its subclasses.
Attentions = Mapping[str, Any]


def softmax_attentions(registry: Registry) -> dict[str, Any]:
    """Return the registered attentions whose `attend` can be timed, by name."""
    return registered(SoftmaxAttention, registry)


def attentions_timed_whole(registry: Registry) -> dict[str, Any]:
    """Return all registered attentions by name if one of them has no `attend`; otherwise none."""
    attentions = registered(Attention, registry)
    return {} if attentions.keys() == softmax_attentions(registry).keys() else attentions


def label(case: Case) -> str:
    """Return device, dtype, B, H, T and D of a benchmark."""
    return f"{case.device} {str(case.dtype).removeprefix('torch.')} {case.B}x{case.H}x{case.T}x{case.D}"


def time_attend(attentions: Attentions, case: Case, which: str, rounds: Rounds) -> list[BenchResult]:
    """Return a result for each attention's `attend`, with its rate and memory.

    Args:
        which: The pass.
    """
    reasons = {name: reason_against_attend(part, case) for name, part in attentions.items()}
    inputs = attend_inputs(case)

    def timed_call(name: str) -> TimedCall:
        return attend_passes(name, case.build(attentions[name]), inputs)[which]

    results = time_correct(f"attend {which}, {label(case)}", timed_call, reasons, case, rounds)
    results = [with_rate(result, case, which) for result in results]
    if which != BOTH:
        return results
    return [with_kept_bytes(result, attentions[result.name], case, inputs[0]) for result in results]


def time_whole(attentions: Attentions, case: Case, which: str, rounds: Rounds) -> list[BenchResult]:
    """Return a result for each whole attention, projections included, without a rate: its operations are unknown.

    Args:
        which: The pass.
    """
    reasons = {name: reason_against_whole(part, case) for name, part in attentions.items()}
    inputs = whole_inputs(case)

    def timed_call(name: str) -> TimedCall:
        return whole_passes(name, case.build(attentions[name]), inputs)[which]

    return time_correct(f"whole {which}, {label(case)}", timed_call, reasons, case, rounds)


# Cached, because the reason is the same for each pass.
@cache
def reason_against_attend(part: Any, case: Case) -> str | None:
    """Return why an attention's `attend` may not be timed on an input, or None if it may."""
    return failure(lambda: attends_as_reference(part, case), case)


@cache
def reason_against_whole(part: Any, case: Case) -> str | None:
    """Return why a whole attention may not be timed on an input, or None if it may."""
    return reason_against_part(part, case)


def time_correct(
    group: str,
    timed_call: Callable[[str], TimedCall],
    reasons: Mapping[str, str | None],
    case: Case,
    rounds: Rounds,
) -> list[BenchResult]:
    """Time the attentions that are correct; return a result for each, and one with the reason for each other.

    Args:
        timed_call: Returns what to time of the attention of a name.
        reasons: Why an attention may not be timed, or None, by name.
    """
    against = {name: reason for name, reason in reasons.items() if reason is not None}
    calls: list[TimedCall] = []
    details: dict[str, Details] = {}
    for name in (name for name in reasons if name not in against):
        try:
            timed = timed_call(name)
            details[name] = Details(peak_bytes=peak_bytes_of(timed, case))
        # Memory may run out although the proof, which goes head by head, had enough; and a plugin's kernel may
        # raise anything.
        except Exception as error:
            against[name] = f"{type(error).__name__}: {error} ({case})"
        else:
            calls.append(timed)
    results = results_of(group, time_interleaved(calls, rounds, case.device), REFERENCE, details)
    return [*results, *(BenchResult(group, name, reason=reason) for name, reason in against.items())]


def peak_bytes_of(timed: TimedCall, case: Case) -> int | None:
    """Return the most bytes that a call holds beyond what was held before it, where the device reports that."""
    if case.device.type not in ("cpu", "cuda"):
        return None
    if timed.prepare is None:
        return peak_bytes(timed.call, case.device)
    prepared = timed.prepare()
    return peak_bytes(lambda: timed.call(prepared), case.device)


def with_kept_bytes(result: BenchResult, part: Any, case: Case, inputs: PassInputs) -> BenchResult:
    """Add the bytes that `attend` keeps for its backward pass, its arguments included."""
    if not result.seconds:
        return result
    attention = case.build(part)
    kept = kept_for_backward(lambda: attention.attend(*inputs.arguments))
    return replace(result, details=replace(result.details, kept_bytes=kept))


def with_rate(result: BenchResult, case: Case, which: str) -> BenchResult:
    """Add the operations per second of `attend`, and the peak of this device's matrix products."""
    if not result.seconds:
        return result
    flops = operations(case, which) / Spread.of(result.seconds).median
    peak = matmul_peak(case.device, case.dtype)
    return replace(result, details=replace(result.details, flops=flops, peak_flops=peak))
