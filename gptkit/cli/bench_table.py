"""Rows of results, for people to read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gptkit.bench.row import Row


def show(rows: "list[Row]") -> "list[Row]":
    """Print the rows of one group, and return them."""
    print(f"\n{rows[0].group}")
    for row in rows:
        print("\n".join(lines_of(row)), flush=True)
    return rows


def lines_of(row: "Row") -> list[str]:
    """Return a row as a person reads it."""
    if row.reason:
        first, *others = row.reason.splitlines()
        return [f"  {row.name:<28} not timed: {first}", *(f"      {line}" for line in others)]
    from gptkit.bench.row import Spread

    time = Spread.of(row.seconds)
    told = f"  {row.name:<28} {spell(time.median):>8} ({spell(time.least)}–{spell(time.most)})"
    words: list[str] = []
    if row.ratios and row.name != row.baseline:
        ratio = Spread.of(row.ratios)
        words.append(f"{ratio.median:.2f} ({ratio.least:.2f}–{ratio.most:.2f}) times as fast as {row.baseline}")
    return ["  ".join([f"{told:<60}", *words, *facts_of(row.facts)]).rstrip()]


def facts_of(known: Mapping[str, Any]) -> list[str]:
    """Return what else is known of a row, in words."""
    words = []
    if "FLOP/s" in known:
        words.append(f"{known['FLOP/s'] / 1e9:,.1f} GFLOP/s, {known['share of peak']:.0%} of the peak")
    if "peak bytes" in known:
        words.append(f"{known['peak bytes'] / 2**20:,.1f} MB")
    if "kept bytes" in known:
        words.append(f"{known['kept bytes'] / 2**20:,.1f} MB kept")
    if "tokens/s" in known:
        words.append(f"{known['tokens/s']:,.0f} tokens/s")
    if "dtype" in known:
        words.append(f"{known['dtype']}{', compiled' if known['compile'] else ''}")
    return words


def spell(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
