"""How long a whole training step takes, beside the baseline's and a peer's."""

from functools import cache
from pathlib import Path

import pytest

from gptkit.bench.baseline import BASELINE
from gptkit.bench.clock import Rounds
from gptkit.bench.hf_gpt2 import PEER, is_installed
from gptkit.bench.row import Row
from gptkit.bench.training import OURS, time_training
from gptkit.bench.workload import workload

from .conftest import Report

RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.mark.parametrize("contestant", [OURS, BASELINE, PEER])
@pytest.mark.parametrize("recipe", ["gpt_small", "gpt_tiny"])
def test_step(report: Report, rounds: Rounds, recipe: str, contestant: str) -> None:
    if contestant == PEER and not is_installed():
        pytest.skip("transformers is not installed: pip install -e '.[bench]'")
    report(rows(recipe, rounds), contestant)


@cache
def rows(recipe: str, rounds: Rounds) -> list[Row]:
    return time_training(workload(RECIPES / f"{recipe}.toml"), rounds, name=recipe)
