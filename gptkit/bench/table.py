"""The results of benchmarks as lines for people to read."""

from collections.abc import Iterator, Sequence

from gptkit.bench.result import BenchResult, Details, Spread


def group_lines(results: Sequence[BenchResult]) -> Iterator[str]:
    """Yield a title and a line for each result of one group: its times, or the reason why it has none."""
    yield results[0].group
    for result in results:
        yield from reason_lines(result) if result.reason else [time_line(result)]
    disturbed = max((result.busy_cpus or 0.0 for result in results if result.is_disturbed), default=0.0)
    if disturbed:
        yield f"  disturbed: other programs kept {disturbed:.1f} CPUs busy meanwhile: all took longer than alone"


def reason_lines(result: BenchResult) -> Iterator[str]:
    """Yield why a result has no time."""
    first, *others = result.reason.splitlines()
    yield f"  {result.name:<28} not timed: {first}"
    yield from (f"      {line}" for line in others)


def time_line(result: BenchResult) -> str:
    """Return the time of a result, its ratio and what else is known."""
    time = Spread.of(result.seconds)
    least, most = format_seconds(time.least), format_seconds(time.most)
    columns = [f"  {result.name:<28} {format_seconds(time.median):>8} ({least}–{most})".ljust(60)]
    if result.ratios and result.name != result.baseline:
        ratio = Spread.of(result.ratios)
        spread = f"{ratio.median:.2f} ({ratio.least:.2f}–{ratio.most:.2f})"
        columns.append(f"{spread} times as fast as {result.baseline}")
    return "  ".join([*columns, *format_details(result.details)]).rstrip()


def format_details(details: Details) -> list[str]:
    """Return a phrase for each detail that is known."""
    phrases = []
    if details.flops is not None:
        phrases.append(f"{details.flops / 1e9:,.1f} GFLOP/s, {details.share_of_peak:.0%} of the peak")
    if details.peak_bytes is not None:
        phrases.append(f"{details.peak_bytes / 2**20:,.1f} MB")
    if details.kept_bytes is not None:
        phrases.append(f"{details.kept_bytes / 2**20:,.1f} MB kept")
    if details.tokens_per_second is not None:
        phrases.append(f"{details.tokens_per_second:,.0f} tokens/s")
    if details.dtype is not None:
        phrases.append(f"{details.dtype}{', compiled' if details.compile else ''}")
    return phrases


def format_seconds(seconds: float) -> str:
    """Return a time in s, ms or µs, with three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
