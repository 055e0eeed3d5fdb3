"""The flags, and a clock that replays to pytest-benchmark the times that `gptkit.bench` measured interleaved."""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gptkit.bench.clock import Rounds
from gptkit.bench.result import BenchResult, Spread
from gptkit.bench.table import group_lines

HERE = Path(__file__).parent


# Reports the result of a name, with further figures, or fails with the reason why it has no time.
Report = Callable[..., None]


class ReplayClock:
    """A clock that replays durations measured before."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def replay(self, seconds: Iterable[float]) -> None:
        """Start these durations; each passes between two readings of the clock."""
        self.ticks = [tick for each in seconds for tick in (0.0, each)]

    def __call__(self) -> float:
        """Return the next tick."""
        return self.ticks.pop(0)


REPLAY = ReplayClock()

# Of all benchmarks that ran, by group.
RESULTS: dict[str, dict[str, BenchResult]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Define the flags."""
    parser.addoption("--benchmark", action="store_true", help="time the parts in benchmarks/")
    parser.addoption(
        "--learning", action="store_true", help="compare losses over seeds too: ten minutes on two cores"
    )
    parser.addoption(
        "--plugin",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="time the attentions of this plugin file too; may be repeated",
    )
    parser.addoption(
        "--repeats", type=int, default=5, metavar="N", help="number of rounds; each times everything once (5)"
    )


def pytest_xdist_auto_num_workers() -> int:
    """Run the benchmarks in one process: others beside it would slow down what is timed."""
    return 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip benchmarks without --benchmark; refuse to time code that runtime type checks slow down."""
    timed = [item for item in items if HERE in item.path.parents]
    for item in timed:
        item.add_marker(pytest.mark.benchmark(timer=REPLAY))
        # An incorrect part fails before it is timed, without using the fixture.
        item.add_marker(pytest.mark.filterwarnings("ignore:Benchmark fixture was not used"))
        # PyTorch raises them itself while it compiles; on CUDA it also advises TensorFloat32.
        item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))
        item.add_marker(pytest.mark.filterwarnings(r"ignore::UserWarning:torch\._inductor"))
    if not config.getoption("--benchmark"):
        for item in timed:
            item.add_marker(pytest.mark.skip(reason="measures time: pass --benchmark"))
        return
    for item in timed:
        if item.get_closest_marker("learning") and not config.getoption("--learning"):
            item.add_marker(pytest.mark.skip(reason="learns for ten minutes: pass --learning"))
    if any(type(finder).__module__.startswith("jaxtyping") for finder in sys.meta_path):
        raise pytest.UsageError("tests/conftest.py checks types at run time: run benchmarks/ by itself")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, fastest first; the last table, because it says everything that most people ask."""
    if not RESULTS:
        return
    terminalreporter.section("what was measured")
    for results in RESULTS.values():
        timed = sorted(results.values(), key=lambda result: Spread.of(result.seconds or (math.inf,)).median)
        terminalreporter.write_line("\n".join(["", *group_lines(timed)]))


@pytest.fixture(scope="session")
def rounds(pytestconfig: pytest.Config) -> Rounds:
    """Return how often to measure; once with --benchmark-disable."""
    if pytestconfig.getoption("--benchmark-disable"):
        return Rounds(repeats=1, at_least=0.0)
    try:
        return Rounds(repeats=pytestconfig.getoption("--repeats"))
    except ValueError as error:
        raise pytest.UsageError(f"--repeats: {error}") from None


@pytest.fixture
def selected(request: pytest.FixtureRequest) -> frozenset[str]:
    """Return the names timed together with this test's: all that `-k` and the like select."""
    own = {key: value for key, value in request.node.callspec.params.items() if key != "name"}
    return frozenset(
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.function is request.function
        and item.callspec.params == {**own, "name": item.callspec.params["name"]}
    )


@pytest.fixture
def report(benchmark: BenchmarkFixture) -> Report:
    """Return a function that reports one result."""

    def report(results: Sequence[BenchResult], name: str, figures: Mapping[str, Any] | None = None) -> None:
        result = next(result for result in results if result.name == name)
        RESULTS.setdefault(result.group, {})[name] = result
        if result.reason:
            pytest.fail(f"not timed, because it is not correct: {result.reason}", pytrace=False)
        benchmark.group = result.group
        benchmark.extra_info |= result.details.to_json() | dict(figures or {})
        if result.busy_cpus is not None:
            benchmark.extra_info["CPUs that other programs kept busy"] = result.busy_cpus
        if result.ratios:
            ratio = Spread.of(result.ratios)
            benchmark.extra_info |= {
                "baseline": result.baseline,
                "times as fast as the baseline": [ratio.least, ratio.median, ratio.most],
            }
        REPLAY.replay(result.seconds)
        benchmark.pedantic(lambda: None, rounds=len(result.seconds))  # type: ignore[no-untyped-call]

    return report
