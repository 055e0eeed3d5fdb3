"""An estimate is made once, and again as soon as anything that it depends on is another."""

import json
from pathlib import Path

import pytest
import torch

from gptkit.recipe.check import check_recipe
from gptkit.recipe.read import read
from gptkit.registry.loader import Plugins
from gptkit.tuning import step_memory_cache
from gptkit.tuning.step_memory import StepMemory, estimate_step_memory
from gptkit.tuning.step_memory_cache import cached_step_memory
from tests.program import run_program
from tests.small import finish, write_recipe

NORM = """
import gptkit
from gptkit.components.norm.layernorm import LayerNorm
class Mine(LayerNorm):
    pass
@gptkit.hookimpl
def gptkit_register(register):
    register("mine", Mine)
"""


class Estimates:
    """Counts the estimates that are made, in a cache of its own."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory, self.made = directory, 0
        monkeypatch.setenv("GPTKIT_CACHE", str(directory / "cache"))
        monkeypatch.setattr(step_memory_cache, "estimate_step_memory", self.estimate)
        recipe = write_recipe(directory)
        recipe.write_text('plugins = ["mine.py"]\n' + recipe.read_text())
        (directory / "mine.py").write_text(NORM)

    def estimate(self, *given: object) -> StepMemory:
        self.made += 1
        return StepMemory(weights=self.made, activations=7)

    def asked(self, *overrides: str, vocab_size: int = 65, dtype: str = "fp32") -> int:
        """Return the number of the estimate that a recipe gets, from 1."""
        written = read(self.directory / "small.toml", overrides)
        assembler = check_recipe(written, Plugins(written.plugins))
        return cached_step_memory(assembler, vocab_size, torch.device("cpu"), dtype).weights

    @property
    def file(self) -> Path:
        """The file of the only estimate."""
        (file,) = (self.directory / "cache" / "memory").iterdir()
        return file


@pytest.fixture
def estimates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Estimates:
    return Estimates(tmp_path, monkeypatch)


def test_what_changes_no_memory_asks_for_no_other_estimate(estimates: Estimates) -> None:
    changes = [
        "train.max_iters=9",
        "train.seed=5",
        "train.keep=1",
        "train.schedule=cosine",
        "train.log_interval=3",
    ]
    assert estimates.asked() == 1
    assert estimates.asked(*changes, "data.tokenizer=byte") == 1


@pytest.mark.parametrize(
    "change",
    [
        "model.n_layer=2",
        "train.batch_size=5",
        "train.checkpoint_activations=true",
        "train.grad_clip=1.0",
        "train.optimizer=muon",
        "model.attention=naive",
        "model.norm=mine",
        "model.feed_forward.expand=3",
    ],
)
def test_what_changes_memory_does(estimates: Estimates, change: str) -> None:
    assert estimates.asked() == 1
    assert estimates.asked(change) == 2


def test_the_vocabulary_and_the_precision_count(estimates: Estimates) -> None:
    assert [estimates.asked(), estimates.asked(vocab_size=66), estimates.asked(dtype="bf16")] == [1, 2, 3]


def test_another_card_counts(estimates: Estimates, monkeypatch: pytest.MonkeyPatch) -> None:
    assert estimates.asked() == 1
    monkeypatch.setattr(step_memory_cache, "device_name", lambda device: "another card")
    assert estimates.asked() == 2


def test_an_edited_part_is_estimated_anew(estimates: Estimates) -> None:
    assert estimates.asked("model.norm=mine") == 1
    (estimates.directory / "mine.py").write_text(NORM.replace("    pass", "    kept = 1"))
    assert estimates.asked("model.norm=mine") == 2


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "[]",
        '{"key": 1, "bytes": {}}',
        '{"key": KEY, "bytes": {"weights": -1}}',
        '{"key": KEY, "bytes": {"weights": 1.5}}',
        '{"key": KEY, "bytes": {"loss": 1}}',
    ],
)
def test_a_damaged_file_is_replaced(estimates: Estimates, damaged: str) -> None:
    estimates.asked()
    key = json.dumps(json.loads(estimates.file.read_bytes())["key"])
    estimates.file.write_text(damaged.replace("KEY", key))
    assert estimates.asked() == 2
    assert estimates.asked() == 2


def test_without_a_place_to_write_it_is_estimated_each_time(estimates: Estimates) -> None:
    (estimates.directory / "cache").write_text("a file")
    assert [estimates.asked(), estimates.asked()] == [1, 2]


def test_what_comes_back_is_the_estimate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTKIT_CACHE", str(tmp_path / "cache"))
    written = read(write_recipe(tmp_path))
    given = check_recipe(written, Plugins()), 65, torch.device("cpu"), "fp32"
    assert [cached_step_memory(*given) for _ in range(2)] == [estimate_step_memory(*given)] * 2


def test_a_run_whose_estimate_is_cached_imports_no_compiler(tmp_path: Path) -> None:
    # Muon leaves vectors to AdamW.
    recipe, changes = write_recipe(tmp_path), ["train.optimizer=muon", "train.max_iters=1"]
    finish(recipe, tmp_path / "first", changes)
    program = f"""
import sys
from pathlib import Path
from tests.small import finish
finish(Path({str(recipe)!r}), Path({str(tmp_path / "second")!r}), {changes})
print([name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""
    assert run_program(program) == "[]\n"
