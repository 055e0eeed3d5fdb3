"""Plot of time and memory against context length, a curve for each attention."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from gptkit.bench.result import BenchResult, Spread


def plot_curves(points: Mapping[str, Mapping[int, BenchResult]], title: str) -> Figure:
    """Return a figure of two panels, both axes of each logarithmic.

    Args:
        points: For each attention, its result at each context.
        title: What was timed, and on which device.
    """
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    seconds, memory = figure.subplots(1, 2)
    for name, results in points.items():
        spreads = [Spread.of(result.seconds) for result in results.values()]
        seconds.plot(list(results), [each.median for each in spreads], marker=".", label=name)
        # The width of a curve shows how much the rounds differ.
        seconds.fill_between(
            list(results), [each.least for each in spreads], [each.most for each in spreads], alpha=0.2
        )
        peaks = {T: result.details.peak_bytes for T, result in results.items()}
        megabytes = {T: peak / 2**20 for T, peak in peaks.items() if peak is not None}
        memory.plot(list(megabytes), list(megabytes.values()), marker=".", label=name)
    for axes, what in ((seconds, "seconds, forward and backward"), (memory, "peak memory (MB)")):
        # matplotlib raises if a logarithmic axis has no data.
        if any(len(line.get_path().vertices) for line in axes.lines):
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
        axes.set_xlabel("context (tokens)")
        axes.set_ylabel(what)
        axes.grid(visible=True, alpha=0.3)
        if points:
            axes.legend()
    figure.suptitle(title)
    return figure
