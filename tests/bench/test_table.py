import pytest

from gptkit.bench.clock import Timings
from gptkit.bench.result import BenchResult, Details, results_of
from gptkit.bench.table import format_seconds, group_lines

SECONDS = {"plain": (2.0, 4.0), "ours": (0.5, 1.0)}


@pytest.mark.parametrize(
    ("busy_cpus", "told"),
    [
        (None, []),
        (0.49, []),
        (1.26, ["  disturbed: other programs kept 1.3 CPUs busy meanwhile: all took longer than alone"]),
    ],
)
def test_a_group_that_other_programs_disturbed_says_so(busy_cpus: float | None, told: list[str]) -> None:
    title, plain, ours, *rest = group_lines(results_of("a step", Timings(SECONDS, busy_cpus), "plain", {}))
    assert title == "a step"
    assert plain.split() == ["plain", "3", "s", "(2", "s–4", "s)"]
    assert ours.split(maxsplit=6)[:6] == ["ours", "750", "ms", "(500", "ms–1", "s)"]
    assert ours.endswith("4.00 (4.00–4.00) times as fast as plain")
    assert rest == told


def test_what_is_known_of_a_result_is_told() -> None:
    details = Details(flops=2e9, peak_flops=8e9, peak_bytes=3 * 2**20, dtype="bf16", compile=True)
    _, line = group_lines([BenchResult("a step", "ours", (1.0,), details=details)])
    assert line.endswith("2.0 GFLOP/s, 25% of the peak  3.0 MB  bf16, compiled")


def test_what_was_not_timed_says_why() -> None:
    _, *lines = group_lines([BenchResult("a step", "ours", reason="it is wrong\nby 3")])
    assert [line.strip() for line in lines] == ["ours                         not timed: it is wrong", "by 3"]


def test_a_time_has_three_digits_and_the_unit_that_fits() -> None:
    assert [format_seconds(seconds) for seconds in (12.345, 0.0123456, 4.2e-6)] == ["12.3 s", "12.3 ms", "4.2 µs"]
