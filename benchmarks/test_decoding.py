"""How long writing 240 tokens takes, beside the uncached baseline and a peer."""

from functools import cache
from pathlib import Path

import pytest

from gptkit.bench.baseline import BASELINE
from gptkit.bench.clock import Rounds
from gptkit.bench.decoding import COMPILED, DRAWN, batches, time_decoding
from gptkit.bench.hf_gpt2 import PEER, is_installed
from gptkit.bench.row import Row
from gptkit.bench.training import OURS
from gptkit.bench.workload import workload
from gptkit.tuning.choose_compile import lacking
from gptkit.tuning.choose_device import choose_device

from .conftest import Report

RECIPE = Path(__file__).parents[1] / "recipes" / "gpt_small.toml"


@pytest.mark.parametrize("contestant", [OURS, COMPILED, DRAWN, BASELINE, PEER])
@pytest.mark.parametrize("batch_size", batches(choose_device("auto").value))
def test_decode(report: Report, rounds: Rounds, batch_size: int, contestant: str) -> None:
    if contestant == PEER and not is_installed():
        pytest.skip("transformers is not installed: pip install -e '.[bench]'")
    if contestant == COMPILED and (lack := lacking(choose_device("auto").value)):
        pytest.skip(lack)
    report(rows(batch_size, rounds), contestant)


@cache
def rows(batch_size: int, rounds: Rounds) -> list[Row]:
    return time_decoding(workload(RECIPE), batch_size, rounds, name=RECIPE.stem)
