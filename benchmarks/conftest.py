"""The flags, and the clock that hands pytest-benchmark the times which `gptkit.bench` took in turns."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gptkit.bench.clock import Rounds
from gptkit.bench.row import Row, Spread

HERE = Path(__file__).parent

Report = Callable[[Sequence[Row], str], None]


class Recorded:
    """A clock that goes through times that were taken before."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def play(self, seconds: Iterable[float]) -> None:
        """Begin to tell these: each is what passes from one look at the clock to the next but one."""
        self.ticks = [tick for each in seconds for tick in (0.0, each)]

    def __call__(self) -> float:
        """Return the next tick."""
        return self.ticks.pop(0)


RECORDED = Recorded()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Define the flags."""
    parser.addoption("--benchmark", action="store_true", help="time the parts in benchmarks/")
    parser.addoption(
        "--plugin",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="time the attentions of this plugin file too; may be repeated",
    )
    parser.addoption(
        "--repeats", type=int, default=5, metavar="N", help="rounds in which each contestant has its turn (5)"
    )


def pytest_xdist_auto_num_workers() -> int:
    """Keep the benchmarks in one process: others beside it would slow down what is timed."""
    return 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what would be timed, unless asked for it; refuse to time code that is slowed down by checks."""
    timed = [item for item in items if HERE in item.path.parents]
    for item in timed:
        item.add_marker(pytest.mark.benchmark(timer=RECORDED))
        # What is not right fails before it is timed, and that is no oversight.
        item.add_marker(pytest.mark.filterwarnings("ignore:Benchmark fixture was not used"))
        # What PyTorch says to itself as it compiles.
        item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))
    if not config.getoption("--benchmark"):
        for item in timed:
            item.add_marker(pytest.mark.skip(reason="measures time: pass --benchmark"))
    elif any(type(finder).__module__.startswith("jaxtyping") for finder in sys.meta_path):
        raise pytest.UsageError("tests/conftest.py checks annotations as code runs: time benchmarks/ by itself")


@pytest.fixture(scope="session")
def rounds(pytestconfig: pytest.Config) -> Rounds:
    """Return how often to measure; once with --benchmark-disable, which wants no times."""
    if pytestconfig.getoption("--benchmark-disable"):
        return Rounds(repeats=1, at_least=0.0)
    try:
        return Rounds(repeats=pytestconfig.getoption("--repeats"))
    except ValueError as error:
        raise pytest.UsageError(f"--repeats: {error}") from None


@pytest.fixture
def rivals(request: pytest.FixtureRequest) -> frozenset[str]:
    """Return who is to be timed together with this test's contestant: those that `-k` and the like leave."""
    own = {key: value for key, value in request.node.callspec.params.items() if key != "contestant"}
    return frozenset(
        str(item.callspec.params["contestant"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.function is request.function
        and item.callspec.params == {**own, "contestant": item.callspec.params["contestant"]}
    )


@pytest.fixture
def report(benchmark: BenchmarkFixture) -> Report:
    """Return a function that reports the row of one contestant, or fails with the reason why it has no time."""

    def tell(rows: Sequence[Row], contestant: str) -> None:
        row = next(row for row in rows if row.name == contestant)
        if row.reason:
            pytest.fail(f"not timed, because it is not right: {row.reason}", pytrace=False)
        benchmark.group = row.group
        benchmark.extra_info |= row.facts
        if row.ratios:
            ratio = Spread.of(row.ratios)
            benchmark.extra_info |= {
                "baseline": row.baseline,
                "times as fast as the baseline": [ratio.least, ratio.median, ratio.most],
            }
        RECORDED.play(row.seconds)
        benchmark.pedantic(lambda: None, rounds=len(row.seconds))  # type: ignore[no-untyped-call]

    return tell
