"""Times 240 new tokens, beside the uncached baseline and transformers' GPT-2."""

from functools import cache
from pathlib import Path

import pytest

from gptkit.bench import hf_gpt2
from gptkit.bench.baseline import BASELINE
from gptkit.bench.clock import Rounds
from gptkit.bench.decoding import COMPILED, DRAWN, batches, time_decoding
from gptkit.bench.result import BenchResult
from gptkit.bench.training import GPTKIT
from gptkit.bench.workload import prepare_workload
from gptkit.tuning.machine import choose_device, lacking

from .conftest import Report

RECIPE = Path(__file__).parents[1] / "recipes" / "gpt_small.toml"


@pytest.mark.parametrize("name", [GPTKIT, COMPILED, DRAWN, BASELINE, hf_gpt2.NAME])
@pytest.mark.parametrize("batch_size", batches(choose_device("auto").value))
def test_decode(report: Report, rounds: Rounds, batch_size: int, name: str) -> None:
    if name == hf_gpt2.NAME and not hf_gpt2.is_installed():
        pytest.skip("transformers is not installed: pip install -e '.[bench]'")
    if name == COMPILED and (lack := lacking(choose_device("auto").value)):
        pytest.skip(lack)
    report(results(batch_size, rounds), name)


@cache
def results(batch_size: int, rounds: Rounds) -> list[BenchResult]:
    return time_decoding(prepare_workload(RECIPE), batch_size, rounds, name=RECIPE.stem)
