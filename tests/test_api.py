import importlib
import json
import shutil
from pathlib import Path

import pytest
import torch

import gptkit
from gptkit.components.attention.naive import NaiveAttention
from gptkit.errors import CheckpointError, RecipeError
from gptkit.model import GPT
from gptkit.run.loop import run as run_experiment
from gptkit.run.prepare import prepare
from tests.small import finish, same_weights, write_recipe


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GPT]:
    """Return a run directory and the model as it was after the last step."""
    directory = tmp_path_factory.mktemp("load")
    prepared = prepare(write_recipe(directory), out=directory / "run")
    for _ in run_experiment(prepared):
        pass
    return directory / "run", prepared.model


@pytest.fixture
def run(trained: tuple[Path, GPT], tmp_path: Path) -> Path:
    """Return a run directory that a test may damage."""
    return shutil.copytree(trained[0], tmp_path / "run")


def refusal(run: Path, *overrides: str) -> str:
    with pytest.raises(CheckpointError) as caught:
        gptkit.load(run, overrides=overrides)
    return str(caught.value)


def test_a_trained_model_writes(run: Path) -> None:
    trained = gptkit.load(run)
    m, decode = trained.model, trained.decode
    context = torch.zeros((1, 1), dtype=torch.long)
    text = decode(m.generate(context, max_new_tokens=20)[0].tolist())
    assert len(text) == 21
    assert text.startswith(decode([0]))


def test_a_trained_model_goes_on_from_a_text(run: Path) -> None:
    trained = gptkit.load(run)
    new = trained.model.generate(torch.tensor([trained.encode("green ")]), 20, temperature=0.8, top_k=5)
    assert trained.decode(new[0].tolist()).startswith("green ")


def test_load_can_be_called_again_and_imported(run: Path) -> None:
    importlib.import_module(gptkit.load.__module__)
    assert same_weights(gptkit.load(run).model, gptkit.load(run).model)


def test_the_last_weights_come_back_bit_for_bit_in_eval_mode(trained: tuple[Path, GPT]) -> None:
    loaded = gptkit.load(str(trained[0]), checkpoint="last")
    assert same_weights(loaded.model, trained[1].cpu())
    assert not loaded.model.training


def test_the_best_weights_are_the_default(run: Path) -> None:
    shutil.copytree(run / "checkpoints" / (run / "checkpoints" / "best").read_text().strip(), run / "kept")
    (run / "checkpoints" / "last").unlink()
    assert gptkit.load(run).model.n_parameters > 0


def test_the_recipe_comes_with_the_model(run: Path) -> None:
    recipe = gptkit.load(run).recipe
    assert recipe.sizes["n_embd"] == 8
    assert recipe.train.max_iters == 12
    assert recipe.parts["optimizer"].options["learning_rate"] == 1e-2


def test_encode_and_decode_are_the_tokenizers(run: Path) -> None:
    loaded = gptkit.load(run)
    assert loaded.decode(loaded.encode("12 green bottles")) == "12 green bottles"
    assert loaded.tokenizer.vocab_size == loaded.model.dims.vocab_size


def test_another_kernel_takes_the_same_weights(run: Path) -> None:
    ours, theirs = gptkit.load(run), gptkit.load(run, overrides=["model.attention=naive"])
    assert any(isinstance(module, NaiveAttention) for module in theirs.model.modules())
    assert not any(isinstance(module, NaiveAttention) for module in ours.model.modules())
    assert same_weights(ours.model, theirs.model)
    tokens = torch.tensor([ours.encode("bottles")])
    torch.testing.assert_close(ours.model(tokens), theirs.model(tokens))


@pytest.mark.parametrize(
    "override", ["model.n_embd=16", "model.n_layer=2", "model.position=rope", "data.tokenizer=byte"]
)
def test_an_override_that_changes_the_weights_is_refused(run: Path, override: str) -> None:
    assert "model.safetensors does not fit the model: " in refusal(run, override)


def test_an_override_that_is_wrong_is_a_recipe_error(run: Path) -> None:
    with pytest.raises(RecipeError, match="no Attention is called 'naiv'"):
        gptkit.load(run, overrides=["model.attention=naiv"])


def test_a_run_that_was_moved_still_loads(run: Path, tmp_path: Path) -> None:
    assert gptkit.load(run.rename(tmp_path / "elsewhere")).model.n_parameters > 0


def test_the_text_is_not_needed_any_more(tmp_path: Path) -> None:
    run = finish(write_recipe(tmp_path), tmp_path / "run", ["train.max_iters=1"])
    (tmp_path / "text.txt").unlink()
    assert gptkit.load(run).model.n_parameters > 0


def test_what_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: no such run directory"
    assert refusal(tmp_path) == f"{tmp_path} is not a run directory: it has no resolved.toml"


def test_damaged_weights_are_refused(run: Path) -> None:
    for file in run.rglob("model.safetensors"):
        file.write_bytes(file.read_bytes()[:-1])
    assert "model.safetensors cannot be read: no safetensors file: " in refusal(run)


def test_a_run_without_a_checkpoint_is_refused(run: Path) -> None:
    (run / "checkpoints" / "best").unlink()
    message = f"{run} has no checkpoint 'best': its run was stopped before it saved one"
    assert refusal(run).startswith(message)


@pytest.mark.parametrize("content", [{}, [], {"characters": 5}, None])
def test_a_tokenizer_that_cannot_be_restored_is_refused(run: Path, content: object) -> None:
    (run / "tokenizer.json").write_text(json.dumps(content))
    assert str(run) in refusal(run)


def test_a_tokenizer_of_another_vocabulary_is_refused(run: Path) -> None:
    (run / "tokenizer.json").write_text(json.dumps({"characters": "ab"}))
    assert "model.safetensors does not fit the model: " in refusal(run)
