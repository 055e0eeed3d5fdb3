"""What a step is said to take is what it takes."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from gptkit.recipe.assemble import Assembler
from gptkit.recipe.check import check_recipe
from gptkit.recipe.read import read
from gptkit.registry.loader import Plugins
from gptkit.training.train import train
from gptkit.tuning.step_memory import StepMemory, estimate_step_memory, format_bytes
from gptkit.tuning.tensor_memory import MemoryTracker
from tests.small import small_tokens, write_recipe

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
SMALL = [
    "model.n_layer=1",
    "model.n_embd=32",
    "model.block_size=64",
    "train.batch_size=8",
    "train.max_iters=3",
    "train.device=cpu",
]


def assembler(recipe: Path, *overrides: str) -> Assembler:
    written = read(recipe, overrides)
    return check_recipe(written, Plugins(written.plugins))


def taken(built: Assembler, dtype: str) -> int:
    """Return the most that was alive in a step after the first one, counted as it was taken."""
    settings = built.resolved.train
    with MemoryTracker("cpu") as tracker:
        model = built.model(65)
        optimizer = built.optimizer().build(model.parameter_groups())
        tokens = small_tokens(1000, 65)
        steps = train(model, tokens, optimizer, built.schedule(), settings, dtype=dtype)
        next(steps)
        tracker.begin()
        next(steps)
    return tracker.peak


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("attention", ["naive", "fused", "sdpa"])
@pytest.mark.parametrize(
    "other",
    [
        ["model.dropout=0.2"],
        ["model.dropout=0"],
        ["train.checkpoint_activations=true", "train.optimizer.use=muon", "model.dropout=0.2"],
        ["train.grad_accumulation=2", "model.position=rope"],
    ],
    ids=lambda other: other[0],
)
def test_it_is_what_a_real_step_takes(tmp_path: Path, attention: str, dtype: str, other: list[str]) -> None:
    built = assembler(write_recipe(tmp_path), *SMALL, f"model.attention={attention}", *other)
    found = estimate_step_memory(built, 65, CPU, dtype)
    assert found.total - found.overhead == pytest.approx(taken(built, dtype), rel=0.05)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_it_is_known_of_every_recipe(recipe: Path) -> None:
    sizes = ["model.n_embd=48", "train.batch_size=4", "train.device=cpu"]
    built = assembler(recipe, *sizes)
    if built.resolved.autos:
        built = assembler(recipe, *sizes, "model.attention=tiled")
    found = estimate_step_memory(built, 65, CPU, "fp32")
    assert found.total - found.overhead == pytest.approx(taken(built, "fp32"), rel=0.1)


def test_it_takes_no_memory_and_leaves_the_random_state(tmp_path: Path) -> None:
    built = assembler(write_recipe(tmp_path), "model.block_size=2000000", "model.n_embd=1000")
    state = torch.get_rng_state()
    found = estimate_step_memory(built, 65, CPU, "fp32")
    assert found.weights > 8e9
    assert found.optimizer_state == pytest.approx(2 * found.weights, rel=0.01)
    # Two heads of a score for each pair of tokens of four sequences, and more than one such tensor.
    assert found.activations > 2 * 4 * 2 * 2_000_000**2 * 4
    assert torch.equal(torch.get_rng_state(), state)


def test_what_no_number_counts_is_more_than_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[logging.LogRecord] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", logged.append)
    logger = logging.getLogger(FakeTensorMode.__module__)
    logger.addHandler(handler)
    try:
        found = estimate_step_memory(
            assembler(write_recipe(tmp_path), "model.block_size=2000000000"), 65, CPU, "fp32"
        )
    finally:
        logger.removeHandler(handler)
    assert str(found) == "more than 9.22 EB"
    assert logged == []


def test_it_tells_what_is_what() -> None:
    found = StepMemory(
        weights=4_000_000, gradients=999, optimizer_state=8_000_000, activations=1_500_000_000, overhead=7
    )
    assert str(found) == (
        "about 1.51 GB (weights 4 MB, gradients 999 bytes, optimizer state 8 MB, activations 1.5 GB, "
        "overhead 7 bytes)"
    )


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1000, "1 kB"), (999_999, "1e+03 kB"), (24_103 * 10**6, "24.1 GB")]
)
def test_bytes_are_shown_as_people_read_them(size: int, text: str) -> None:
    assert format_bytes(size) == text


# In a process for each, whose memory is then that of the steps alone, and which shares what the first imported.
PEAK = """
import os
import torch
from tests.tuning.test_step_memory import *
from gptkit.tuning.malloc import training_memory
torch.set_num_threads(1)
small = ["model.n_layer=2", "model.n_embd=64", "model.n_head=2", "model.block_size=256"]
small += ["train.batch_size=16", "train.max_iters=2"]
small += ["model.attention=fused", "model.dropout=0.2", "train.device=cpu", "train.schedule.warmup=0"]
recipe = ROOT / "recipes" / "gpt_tiny.toml"
def steps(built):
    model = built.model(65)
    optimizer = built.optimizer().build(model.parameter_groups())
    for _ in train(model, small_tokens(9999, 65), optimizer, built.schedule(), built.resolved.train): pass
def status(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
def ratio(recompute):
    built = assembler(recipe, *small, f"train.checkpoint_activations={str(recompute).lower()}")
    expected = estimate_step_memory(built, 65, CPU, "fp32").total
    steps(assembler(recipe, *small, "train.batch_size=1"))
    with training_memory(CPU, recomputes=recompute):
        open("/proc/self/clear_refs", "w").write("5")
        before = status("VmRSS")
        steps(built)
    return expected / (status("VmHWM") - before)
estimate_step_memory(assembler(recipe, *small, "train.batch_size=1"), 65, CPU, "fp32")
for recompute in (True, False):
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
    else:
        print(ratio(recompute), flush=True)
        os._exit(0)
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells a process's peak of memory")
def test_the_process_grows_by_what_was_said() -> None:
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True, cwd=ROOT)
    ratios = [float(line) for line in done.stdout.splitlines()]
    assert len(ratios) == 2
    assert all(0.85 < ratio < 1.35 for ratio in ratios), ratios
