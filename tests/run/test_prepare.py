import re
from pathlib import Path
from typing import Any

import pytest
import torch

import gptkit
from gptkit.errors import DataError, GptkitError, PluginError, RecipeError, UsageError
from gptkit.run.prepare import prepare
from tests.small import RECIPE, TEXT, same_weights, write_recipe


def test_everything_is_ready_before_anything_is_written(tmp_path: Path) -> None:
    prepared = prepare(write_recipe(tmp_path), out=tmp_path / "run")
    assert prepared.tokenizer.vocab_size == len(set(TEXT)) == prepared.model.dims.vocab_size
    assert prepared.data.characters == len(TEXT)
    assert (prepared.device.value, prepared.dtype.value) == (torch.device("cpu"), "fp32")
    assert prepared.resolved.name == "small"
    assert not (tmp_path / "run").exists()


def test_tokens_per_step_count_every_pass(tmp_path: Path) -> None:
    prepared = prepare(write_recipe(tmp_path), overrides=["train.grad_accumulation=3"])
    assert prepared.tokens_per_step == 3 * 4 * 16


def test_the_least_time_grows_with_the_steps(tmp_path: Path) -> None:
    short, long = (prepare(write_recipe(tmp_path), overrides=[f"train.max_iters={n}"]) for n in (10, 100_000))
    assert 0 < short.least_seconds() < long.least_seconds()


def test_overrides_and_plugin_files_are_taken(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    prepared = prepare(write_recipe(tmp_path), overrides=["model.norm=twice"], plugins=[plugin])
    assert type(prepared.model.norm).__name__ == "TwiceNorm"


def test_the_first_weights_depend_on_the_seed_alone(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    first = prepare(recipe).model
    torch.rand(3)
    assert same_weights(first, prepare(recipe).model)
    assert not same_weights(first, prepare(recipe, overrides=["train.seed=1"]).model)


def test_layers_begin_with_weights_of_their_own(tmp_path: Path) -> None:
    blocks = prepare(write_recipe(tmp_path), overrides=["model.n_layer=2"]).model.blocks
    first, second = (block.state_dict()["attention.qkv.weight"] for block in blocks)
    assert not torch.equal(first, second)


def test_a_swapped_part_leaves_the_first_weights_of_the_others(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    ours, theirs = prepare(recipe).model, prepare(recipe, overrides=["model.feed_forward=swiglu"]).model
    others = theirs.state_dict()
    assert all(
        torch.equal(weight, others[name])
        for name, weight in ours.state_dict().items()
        if "feed_forward" not in name
    )


def test_the_callers_random_state_is_left_as_it_was(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    prepare(write_recipe(tmp_path))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_new_directory_is_named_after_recipe_time_and_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path)
    monkeypatch.chdir(tmp_path)
    outs = [prepare(recipe, overrides=[f"train.seed={seed}"]).out for seed in (0, 1)]
    assert all(re.fullmatch(r"runs/small-\d{8}-\d{6}-[0-9a-f]{8}", out.as_posix()) for out in outs)
    assert outs[0].name[-8:] != outs[1].name[-8:]
    assert not (tmp_path / "runs").exists()


def test_the_environment_says_what_else_the_result_depends_on(tmp_path: Path) -> None:
    environment = prepare(write_recipe(tmp_path)).environment()
    assert environment["gptkit"] == gptkit.__version__
    assert environment["torch"] == torch.__version__
    assert (environment["device"], environment["dtype"]) == ("cpu", "fp32")
    assert environment["threads"] == torch.get_num_threads()
    assert environment.keys() >= {"python", "platform", "installed_plugins", "command"}


PLUGIN = """
from gptkit import hookimpl
from gptkit.interfaces import Norm

class TwiceNorm(Norm):
    def forward(self, x):
        return 2 * x

@hookimpl
def gptkit_register(register):
    register("twice", TwiceNorm)
"""

WRONG = [
    pytest.param({"recipe": "[model"}, [], RecipeError, id="no TOML"),
    pytest.param({"recipe": RECIPE + "typo = 1"}, [], RecipeError, id="unknown key"),
    pytest.param({}, ["model.attention=spda"], RecipeError, id="unknown part"),
    pytest.param({}, ["model.n_head=3"], RecipeError, id="sizes"),
    pytest.param({}, ["train.device=cuda:99"], RecipeError, id="device"),
    pytest.param({}, ["train.dtype=fp16"], RecipeError, id="dtype"),
    pytest.param({}, ["train.schedule={ use = 'cosine', warmup = 12 }"], RecipeError, id="schedule"),
    pytest.param({"recipe": 'plugins = ["none.py"]\n' + RECIPE}, [], RecipeError, id="no plugin file"),
    pytest.param({"recipe": 'plugins = ["text.txt"]\n' + RECIPE}, [], PluginError, id="no plugin"),
    pytest.param({}, ["data.corpus.path=none.txt"], DataError, id="no text"),
    pytest.param({"text": ""}, [], DataError, id="empty text"),
    pytest.param({"text": "aaaa"}, [], DataError, id="one character"),
    pytest.param({"text": "ab" * 20}, [], DataError, id="short text"),
]


@pytest.mark.parametrize(("files", "overrides", "error"), WRONG)
def test_nothing_is_written_when_anything_is_wrong(
    files: dict[str, str],
    overrides: list[str],
    error: type[GptkitError],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = write_recipe(tmp_path, **files)
    before = sorted(tmp_path.rglob("*"))
    for out in (None, tmp_path / "run"):
        with pytest.raises(error):
            prepare(recipe, overrides=overrides, out=out)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_directory_with_something_in_it_is_refused_before_the_text_is_read(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, text="")
    with pytest.raises(UsageError, match=f"^{tmp_path} has something in it"):
        prepare(recipe, out=tmp_path)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            {"device": "gpu"},
            "--set train.device=gpu  train.device  PyTorch knows no device 'gpu'. Use auto, cpu, cuda, cuda:0 or "
            "mps",
        ),
        (
            {"dtype": "fp16"},
            "--set train.dtype=fp16  train.dtype  fp16 is trained on CUDA alone, and this run is on cpu. Use bf16 "
            "or fp32",
        ),
    ],
)
def test_what_this_machine_cannot_do_is_said_with_its_place(
    overrides: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError) as caught:
        prepare(write_recipe(tmp_path), overrides=[f"train.{key}={value}" for key, value in overrides.items()])
    assert str(caught.value) == problem
