"""The result of one benchmark: its times beside the baseline's, or the reason why there are none."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from gptkit.bench.clock import Timings
from gptkit.tuning.threads import BUSY_CPUS


@dataclass(frozen=True)
class Spread:
    """Median, least and most of several repeats."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one number."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, kw_only=True)
class Details:
    """Rates, memory and settings of one result; None where unknown.

    Args:
        peak_bytes: Most bytes that a call held at once, beyond what was held before it.
        flops: Floating-point operations per second.
        peak_flops: Most of them that a matrix product reaches on this device.
        kept_bytes: Bytes that a forward pass keeps for its backward pass.
        same_weights: Whether the baseline has the weights of the model.
    """

    peak_bytes: int | None = None
    flops: float | None = None
    peak_flops: float | None = None
    kept_bytes: int | None = None
    tokens_per_second: float | None = None
    same_weights: bool | None = None
    dtype: str | None = None
    compile: bool | None = None

    @property
    def share_of_peak(self) -> float | None:
        """The rate as a share of the peak."""
        return None if self.flops is None or self.peak_flops is None else self.flops / self.peak_flops

    def to_json(self) -> dict[str, Any]:
        """Return what is known, in JSON's types."""
        values = {
            "peak bytes": self.peak_bytes,
            "FLOP/s": self.flops,
            "share of peak": self.share_of_peak,
            "peak FLOP/s": self.peak_flops,
            "kept bytes": self.kept_bytes,
            "tokens/s": self.tokens_per_second,
            "same weights": self.same_weights,
            "dtype": self.dtype,
            "compile": self.compile,
        }
        return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True)
class BenchResult:
    """The result of one benchmark.

    Args:
        group: What is timed and at which size; results of one group are comparable.
        seconds: Of one unit, one for each round; empty if there is a reason.
        ratios: Speed relative to the baseline, round by round; empty without a baseline.
        baseline: Name of the baseline.
        reason: Why it was not timed.
        busy_cpus: Number of CPUs that other programs kept busy meanwhile, if it is known.
    """

    group: str
    name: str
    seconds: tuple[float, ...] = ()
    ratios: tuple[float, ...] = ()
    baseline: str | None = None
    details: Details = Details()
    reason: str = ""
    busy_cpus: float | None = None

    @property
    def is_disturbed(self) -> bool:
        """Whether other programs kept so many CPUs busy that times are longer than on a quiet machine."""
        return self.busy_cpus is not None and self.busy_cpus >= BUSY_CPUS

    def to_json(self) -> dict[str, Any]:
        """Return the result in JSON's types, with medians and spreads."""
        spreads = {
            name: asdict(Spread.of(values))
            for name, values in (("time", self.seconds), ("ratio", self.ratios))
            if values
        }
        return {
            "group": self.group,
            "name": self.name,
            "seconds": self.seconds,
            "ratios": self.ratios,
            "baseline": self.baseline,
            "facts": self.details.to_json(),
            "reason": self.reason,
            "busy cpus": self.busy_cpus,
            **spreads,
        }


def speed_ratios(baseline: Sequence[float], seconds: Sequence[float]) -> tuple[float, ...]:
    """Return the speed relative to the baseline, round by round."""
    return tuple(theirs / ours for theirs, ours in zip(baseline, seconds, strict=True))


def results_of(
    group: str, timings: Timings, baseline: str | None, details: Mapping[str, Details]
) -> list[BenchResult]:
    """Return a result for each name.

    Args:
        baseline: Name that the others are compared with, if it was timed.
        details: By name; may lack some.
    """
    reference = timings.seconds.get(baseline) if baseline is not None else None
    return [
        BenchResult(
            group,
            name,
            own,
            speed_ratios(reference, own) if reference else (),
            baseline if reference else None,
            details.get(name, Details()),
            busy_cpus=timings.busy_cpus,
        )
        for name, own in timings.seconds.items()
    ]
