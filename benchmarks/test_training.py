"""Times a whole training step, beside the baseline's and that of transformers' GPT-2."""

from functools import cache
from pathlib import Path

import pytest

from gptkit.bench import hf_gpt2
from gptkit.bench.baseline import BASELINE
from gptkit.bench.clock import Rounds
from gptkit.bench.result import BenchResult
from gptkit.bench.training import GPTKIT, time_training
from gptkit.bench.workload import prepare_workload

from .conftest import Report

RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.mark.parametrize("name", [GPTKIT, BASELINE, hf_gpt2.NAME])
@pytest.mark.parametrize("recipe", ["gpt_small", "gpt_tiny"])
def test_step(report: Report, rounds: Rounds, recipe: str, name: str) -> None:
    if name == hf_gpt2.NAME and not hf_gpt2.is_installed():
        pytest.skip("transformers is not installed: pip install -e '.[bench]'")
    report(results(recipe, rounds), name)


@cache
def results(recipe: str, rounds: Rounds) -> list[BenchResult]:
    return time_training(prepare_workload(RECIPES / f"{recipe}.toml"), rounds, name=recipe)
