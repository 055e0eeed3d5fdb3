"""A row of results: how long something took, beside the baseline, or why there is no time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Spread:
    """What came of several repeats."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, found: Sequence[float]) -> "Spread":
        """Return the spread of some numbers, at least one."""
        return cls(median(found), min(found), max(found))


@dataclass(frozen=True)
class Row:
    """One row.

    Args:
        group: What is timed, at which size; rows of a group are compared.
        name: Who does it.
        seconds: Of one unit, in each repeat; none where there is a reason.
        ratios: How many times as fast as the baseline, repeat by repeat; none without a baseline.
        baseline: Name of the baseline.
        facts: Rates, memory and whatever else is known.
        reason: Why it was not timed.
    """

    group: str
    name: str
    seconds: tuple[float, ...] = ()
    ratios: tuple[float, ...] = ()
    baseline: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the row in JSON's types, with medians and spreads worked out."""
        spreads = {
            name: asdict(Spread.of(found))
            for name, found in (("time", self.seconds), ("ratio", self.ratios))
            if found
        }
        return {**asdict(self), "facts": dict(self.facts), **spreads}


def ratios(baseline: Sequence[float], own: Sequence[float]) -> tuple[float, ...]:
    """Return how many times as fast as the baseline something is, repeat by repeat."""
    return tuple(theirs / ours for theirs, ours in zip(baseline, own, strict=True))


def rows_of(
    group: str,
    seconds: Mapping[str, tuple[float, ...]],
    baseline: str | None,
    facts: Mapping[str, Mapping[str, Any]],
) -> list[Row]:
    """Return a row for each contestant.

    Args:
        seconds: Of one unit, in each repeat, by contestant.
        baseline: Who the others are compared with, if it took part.
        facts: What else is known, by contestant.
    """
    against = seconds.get(baseline) if baseline is not None else None
    return [
        Row(
            group,
            name,
            found,
            ratios(against, found) if against else (),
            baseline if against else None,
            facts.get(name, {}),
        )
        for name, found in seconds.items()
    ]
