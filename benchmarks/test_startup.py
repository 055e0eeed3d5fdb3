"""Times start-up."""

from functools import cache

import pytest

from gptkit.bench.clock import Rounds
from gptkit.bench.result import BenchResult
from gptkit.bench.startup import FIRST_STEP, HELP, IMPORT, TORCH, time_startup

from .conftest import Report


@pytest.mark.parametrize("name", [HELP, IMPORT, TORCH, FIRST_STEP])
def test_start(report: Report, rounds: Rounds, name: str) -> None:
    report(results(rounds), name)


@cache
def results(rounds: Rounds) -> list[BenchResult]:
    return time_startup(rounds)
