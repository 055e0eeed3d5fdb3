"""How long it takes to begin."""

from functools import cache

import pytest

from gptkit.bench.clock import Pace
from gptkit.bench.row import Row
from gptkit.bench.startup import FIRST_STEP, HELP, IMPORT, TORCH, time_startup

from .conftest import Report


@pytest.mark.parametrize("contestant", [HELP, IMPORT, TORCH, FIRST_STEP])
def test_start(report: Report, pace: Pace, contestant: str) -> None:
    report(rows(pace), contestant)


@cache
def rows(pace: Pace) -> list[Row]:
    return time_startup(pace)
