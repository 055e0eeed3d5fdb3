"""The picture: time and memory against the context, a curve for each attention."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from gptkit.bench.row import Row, Spread


def context_curves(points: Mapping[str, Mapping[int, Row]], title: str) -> Figure:
    """Return a figure of two panels, both axes of each logarithmic.

    Args:
        points: For each attention, its row at each context.
        title: What was timed, and where.
    """
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    seconds, memory = figure.subplots(1, 2)
    for name, rows in points.items():
        spreads = {T: Spread.of(row.seconds) for T, row in rows.items()}
        lengths = list(spreads)
        seconds.plot(lengths, [each.median for each in spreads.values()], marker=".", label=name)
        least, most = ([getattr(each, which) for each in spreads.values()] for which in ("least", "most"))
        # The width of a curve says how far it is to be trusted.
        seconds.fill_between(lengths, least, most, alpha=0.2)
        held = {T: row.facts["peak bytes"] / 2**20 for T, row in rows.items() if "peak bytes" in row.facts}
        memory.plot(list(held), list(held.values()), marker=".", label=name)
    for axes, what in ((seconds, "seconds, forward and backward"), (memory, "peak memory (MB)")):
        # Without a number there is nothing to scale, and matplotlib says so by raising.
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
