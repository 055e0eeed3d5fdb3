"""The flags: without `--benchmark` everything here is collected and skipped, `--plugin` adds a stranger's part."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


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


def pytest_xdist_auto_num_workers() -> int:
    """Keep the benchmarks in one process: others beside it would slow down what is timed."""
    return 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what would be timed, unless asked for it; refuse to time code that is slowed down by checks."""
    timed = [item for item in items if HERE in item.path.parents]
    if not config.getoption("--benchmark"):
        for item in timed:
            item.add_marker(pytest.mark.skip(reason="measures time: pass --benchmark"))
    elif any(type(finder).__module__.startswith("jaxtyping") for finder in sys.meta_path):
        raise pytest.UsageError("tests/conftest.py checks annotations as code runs: time benchmarks/ by itself")
