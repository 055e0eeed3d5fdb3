"""A step that no memory holds is refused in seconds, with what would fit."""

import re
import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gptkit.cli.run_summary import describe_memory
from gptkit.errors import RecipeError
from gptkit.recipe.check import check_recipe
from gptkit.recipe.read import read
from gptkit.registry.loader import Plugins
from gptkit.run.prepare import prepare
from gptkit.tuning import memory_check as fit
from gptkit.tuning.memory_check import check_memory
from gptkit.tuning.step_memory import estimate_step_memory, format_bytes
from tests.small import write_recipe

CPU = torch.device("cpu")
exhaustive = pytest.mark.exhaustive


def checked(recipe: Path, *overrides: str) -> str:
    written = read(recipe, overrides)
    return describe_memory(check_memory(check_recipe(written, Plugins(written.plugins)), 65, CPU, "fp32"))


def needed(recipe: Path, *overrides: str) -> int:
    written = read(recipe, overrides)
    return estimate_step_memory(check_recipe(written, Plugins(written.plugins)), 65, CPU, "fp32").total


def refused(recipe: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        checked(recipe, *overrides)
    return str(caught.value)


def advice(told: str) -> list[list[str]]:
    """Return the overrides of each way out that an error names."""
    _, found, ways = told.partition("What fits: ")
    assert found, told
    return [[word for word in shlex.split(way) if word != "--set"] for way in ways.split(", or ")]


LAYERS = ("model.n_layer=1", "model.dropout=0.1", "model.n_embd=32")


@pytest.mark.parametrize("share", [0.9, *(pytest.param(share, marks=exhaustive) for share in (0.5, 0.3, 0.15))])
def test_what_it_advises_fits_and_more_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    recipe = write_recipe(tmp_path)
    large = [*LAYERS, "train.batch_size=24", "model.block_size=100"]
    free = int(share * needed(recipe, *large))
    monkeypatch.setattr(fit, "free_memory", lambda device: free)
    ways = advice(refused(recipe, *large))
    for way in ways:
        assert f"of {format_bytes(free)} free on cpu" in checked(recipe, *large, *way)
    (split,) = [dict(each.split("=") for each in way) for way in ways if "train.batch_size" in way[0]]
    rows, passes = int(split["train.batch_size"]), int(split["train.grad_accumulation"])
    assert rows * passes == 24
    (length,) = [int(way[0].partition("=")[2]) for way in ways if "block_size" in way[0]]
    # The next are too large.
    next_rows = min(part for part in (1, 2, 3, 4, 6, 8, 12, 24) if part > rows)
    recomputing = [f"train.checkpoint_activations={split.get('train.checkpoint_activations', 'false')}"]
    split_so = [f"train.batch_size={next_rows}", f"train.grad_accumulation={24 // next_rows}"]
    assert needed(recipe, *large, *split_so, *recomputing) > free
    assert needed(recipe, *large, f"model.block_size={length + max(length // 4, 1)}") > free


def test_recomputing_is_advised_where_it_is_enough_and_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path)
    less = needed(recipe, *LAYERS, "train.checkpoint_activations=true")
    monkeypatch.setattr(fit, "free_memory", lambda device: less)
    assert advice(refused(recipe, *LAYERS))[0] == ["train.checkpoint_activations=true"]
    checked(recipe, *LAYERS, "train.checkpoint_activations=true")
    monkeypatch.setattr(fit, "free_memory", lambda device: less - 1)
    told = refused(recipe, *LAYERS, "train.checkpoint_activations=true")
    assert "checkpoint_activations" not in told.partition("What fits")[2]


def test_a_model_too_large_for_any_batch_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "free_memory", lambda device: 1000)
    told = refused(write_recipe(tmp_path))
    assert re.fullmatch(
        r".*small.toml:6  model.block_size  a step of 4 × 16 tokens in one pass needs about .* kB \(weights .*\), "
        r"and cpu has 1 kB free\. No split of the batch fits, nor a smaller context: try a smaller batch or model",
        told,
    )


def test_a_part_that_needs_numbers_is_left_to_the_dry_step(tmp_path: Path) -> None:
    (tmp_path / "nosy.py").write_text("""
import gptkit
from gptkit.components.norm.layernorm import LayerNorm
class Nosy(LayerNorm):
    def forward(self, x):
        return super().forward(x) * (2.0 if x.sum().item() > 1e9 else 1.0)
@gptkit.hookimpl
def gptkit_register(register):
    register("nosy", Nosy)
""")
    recipe = write_recipe(tmp_path)
    recipe.write_text('plugins = ["nosy.py"]\n' + recipe.read_text())
    prepared = prepare(recipe, overrides=["model.norm=nosy"], out=tmp_path / "run")
    assert describe_memory(prepared.memory).startswith(
        "known when a step is tried: it cannot be estimated without one (DataDependentOutputException: "
    )


def test_the_command_refuses_a_huge_context_at_once_and_writes_nothing(tmp_path: Path) -> None:
    text = "".join(f"{n} green bottles, hanging on the wall;\n" for n in range(60_000))
    recipe = write_recipe(tmp_path, text=text)
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    command = [sys.executable, "-m", "gptkit", "run", str(recipe), "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [*command, "--set", "model.block_size=200_000"],
        capture_output=True,
        text=True,
        check=False,
    )
    # The most that any child took, this one or one before it; what was asked for are terabytes.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(before, 2e9 / 1024)
    assert time.perf_counter() - began < 60
    assert (done.returncode, done.stdout) == (2, "")
    pattern = (
        r"--set model.block_size=200_000  model.block_size  a step of 4 × 200,000 tokens in one pass needs about "
        r"[\d.]+ TB \(weights .* MB, .*\), and cpu has .* GB free. What fits: --set model.block_size=\d+\n"
    )
    assert re.fullmatch(pattern, done.stderr), done.stderr
    assert not (tmp_path / "run").exists()
