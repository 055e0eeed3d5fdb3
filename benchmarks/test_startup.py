"""How long it takes to begin."""

from functools import cache

import pytest

from gptkit.bench.clock import Rounds
from gptkit.bench.row import Row
from gptkit.bench.startup import FIRST_STEP, HELP, IMPORT, TORCH, time_startup

from .conftest import Report


@pytest.mark.parametrize("contestant", [HELP, IMPORT, TORCH, FIRST_STEP])
def test_start(report: Report, rounds: Rounds, contestant: str) -> None:
    report(rows(rounds), contestant)


@cache
def rows(rounds: Rounds) -> list[Row]:
    return time_startup(rounds)
