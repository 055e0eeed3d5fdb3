"""Recipes with the plugins that need something of the run: they train, decode and log what is theirs."""

from pathlib import Path
from typing import Any

import pytest

from gptkit.storage.metrics_log import MetricsLog
from tests.small import RECIPE, finish, write_recipe

PLUGINS = Path(__file__).parents[2] / "plugins"
SETTINGS = ["train.max_iters=4", "train.log_interval=1", "train.sample_interval=0", "model.n_layer=2"]


def run_with(directory: Path, file: str, *overrides: str) -> Path:
    """Run a small recipe that names a plugin file, and return the run directory."""
    recipe = write_recipe(directory, recipe=f'plugins = ["{PLUGINS / file}.py"]\n{RECIPE}')
    return finish(recipe, directory / "run", [*SETTINGS, *overrides])


def rows(out: Path) -> list[dict[str, Any]]:
    return [row for row in MetricsLog(out / "metrics.jsonl").rows() if "loss" in row]


@pytest.mark.parametrize(
    ("file", "overrides"),
    [
        ("alibi", ["model.attention=alibi", "model.position=none"]),
        ("value_embeddings", ["model.layer=[{ at = [1], attention = 'value_embeddings' }]"]),
    ],
)
def test_it_trains_and_logs_one_loss(tmp_path: Path, file: str, overrides: list[str]) -> None:
    found = rows(run_with(tmp_path, file, *overrides))
    assert found[-1]["loss"] < found[0]["loss"]
    assert all("auxiliary_loss" not in row for row in found)


def test_a_mixture_of_experts_logs_its_balance(tmp_path: Path) -> None:
    found = rows(run_with(tmp_path, "mixture_of_experts", "model.feed_forward=mixture_of_experts"))
    assert found[-1]["loss"] < found[0]["loss"]
    assert list(found[0])[:3] == ["step", "loss", "auxiliary_loss"]
    # One for each of two layers, which begin near balance.
    assert [row["auxiliary_loss"] for row in found] == pytest.approx([0.02] * 4, rel=0.1)
