from pathlib import Path

import numpy as np

from gptkit.bench.figure import plot_curves
from gptkit.bench.result import BenchResult, Details

POINTS = {
    "naive": {
        128: BenchResult("", "naive", (1.0, 2.0, 3.0), details=Details(peak_bytes=2**20)),
        256: BenchResult("", "naive", (4.0,), details=Details(peak_bytes=2**22)),
    },
    "sdpa": {128: BenchResult("", "sdpa", (0.5,))},
    "mine": {},
}


def test_time_and_memory_are_curves_against_the_context() -> None:
    seconds, memory = plot_curves(POINTS, "attend").axes
    drawn = [
        {line.get_label(): np.asarray(line.get_xydata()).T.tolist() for line in axes.lines}
        for axes in (seconds, memory)
    ]
    assert drawn[0]["naive"] == [[128, 256], [2.0, 4.0]]
    assert drawn[0]["sdpa"] == [[128], [0.5]]
    assert drawn[1]["naive"] == [[128, 256], [1.0, 4.0]]
    for axes in (seconds, memory):
        assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "log", "context (tokens)")
        legend = axes.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == ["naive", "sdpa", "mine"]
    assert seconds.get_ylabel() == "seconds, forward and backward"
    assert memory.get_ylabel() == "peak memory (MB)"


def test_it_can_be_drawn_even_if_nothing_was_timed(tmp_path: Path) -> None:
    nothing: list[dict[str, dict[int, BenchResult]]] = [{"mine": {}}, {}]
    for points in (POINTS, *nothing):
        plot_curves(points, "attend").savefig(tmp_path / "bench.png")
        assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
