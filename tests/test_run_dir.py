import ast
import json
from pathlib import Path
from typing import Any

import pytest
import tomli
import torch
from torch import nn

import gptkit
from gptkit.components.tokenizer.char import CharTokenizer
from gptkit.errors import CheckpointError, UsageError
from gptkit.run_dir import RunDir
from tests.small import same_weights

DOCUMENT = {"model": {"n_layer": 2}, "train": {"max_iters": 5}}


def create(root: Path, **changes: Any) -> RunDir:
    arguments: dict[str, Any] = {
        "recipe": "# a recipe\r\n[model]\r\n",
        "document": DOCUMENT,
        "plugins": [],
        "tokenizer": CharTokenizer(["a\nß"]),
        "environment": {"python": "3"},
    }
    return RunDir.create(root, **arguments | changes)


def layer(weight: float) -> nn.Linear:
    """Return a model of one layer whose weights are all the same."""
    model = nn.Linear(2, 3)
    for each in model.parameters():
        nn.init.constant_(each, weight)
    return model


def save(run: RunDir, step: int, *, best: bool = False) -> None:
    run.save(step, layer(step), {"step": step}, best=best)


def checkpoints(run: RunDir) -> dict[str, str]:
    """Return the names in the directory of checkpoints, each pointer with what it names."""
    return {
        file.name: "" if file.is_dir() else file.read_text().strip()
        for file in sorted((run.root / "checkpoints").iterdir())
    }


def refusal(run: RunDir, checkpoint: str = "last", model: nn.Module | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        run.load_weights(model or layer(0), checkpoint)
    return str(caught.value)


def test_a_new_run_holds_all_that_is_known_before_the_first_step(tmp_path: Path) -> None:
    root = create(tmp_path / "deep" / "run").root
    assert sorted(file.name for file in root.iterdir()) == [
        "checkpoints",
        "env.json",
        "metrics.jsonl",
        "recipe.toml",
        "resolved.toml",
        "samples",
        "tokenizer.json",
    ]
    assert (root / "recipe.toml").read_bytes() == b"# a recipe\r\n[model]\r\n"
    assert tomli.loads((root / "resolved.toml").read_text()) == DOCUMENT
    assert json.loads((root / "env.json").read_text()) == {"python": "3"}
    assert json.loads((root / "tokenizer.json").read_text(encoding="utf-8")) == {"characters": "\naß"}


def test_plugins_are_copied_and_named_relative_to_the_run(tmp_path: Path) -> None:
    files = [tmp_path / "one" / "mine.py", tmp_path / "other" / "mine.py"]
    for file in files:
        file.parent.mkdir()
        file.write_text(f"# {file.parent.name}")
    root = create(tmp_path / "run", plugins=files).root
    named = tomli.loads((root / "resolved.toml").read_text())["plugins"]
    assert named == ["plugins/mine.py", "plugins/mine_1.py"]
    assert [(root / name).read_text() for name in named] == ["# one", "# other"]


def test_an_empty_directory_is_free(tmp_path: Path) -> None:
    assert create(tmp_path).resolved.is_file()


@pytest.mark.parametrize("name", [".", ".hidden", "file"])
def test_a_directory_with_something_in_it_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "more").touch()
    root = tmp_path / name
    before = sorted(tmp_path.rglob("*"))
    message = f"^{root} has something in it: a run starts in a new or an empty directory$"
    with pytest.raises(UsageError, match=message):
        create(root)
    assert sorted(tmp_path.rglob("*")) == before


def test_metrics_are_rows_that_are_appended(tmp_path: Path) -> None:
    run = create(tmp_path)
    assert run.metrics() == []
    rows = [{"step": 1, "loss": 2.5}, {"step": 2, "validation_loss": 2.25}]
    for row in rows:
        run.log(row)
    assert run.metrics() == rows


def test_samples_are_kept_exactly(tmp_path: Path) -> None:
    file = create(tmp_path).write_sample(42, "Ünï\r\ncode\n")
    assert file == tmp_path / "samples" / "step-000042.txt"
    assert file.read_bytes() == "Ünï\r\ncode\n".encode()


def test_the_curves_are_drawn(tmp_path: Path) -> None:
    run = create(tmp_path)
    run.log({"step": 1, "loss": 2.5})
    assert run.draw() == tmp_path / "loss.png"
    assert (tmp_path / "loss.png").stat().st_size > 0


def test_a_checkpoint_is_weights_and_state(tmp_path: Path) -> None:
    run, model = create(tmp_path), layer(0)
    run.save(7, layer(7), {"step": 7, "loss": 1.5}, best=True)
    assert run.checkpoint("best") == run.checkpoint("last") == tmp_path / "checkpoints" / "step-000007"
    assert sorted(file.name for file in run.checkpoint("best").iterdir()) == ["model.safetensors", "state.json"]
    assert json.loads((run.checkpoint("best") / "state.json").read_text()) == {"step": 7, "loss": 1.5}
    run.load_weights(model, "best")
    assert same_weights(model, layer(7))


def test_weights_shared_by_two_layers_are_saved(tmp_path: Path) -> None:
    run, saved, loaded = create(tmp_path), nn.Linear(2, 2), nn.Linear(2, 2)
    run.save(1, nn.Sequential(saved, saved), {}, best=False)
    run.load_weights(nn.Sequential(loaded, loaded), "last")
    assert same_weights(saved, loaded)


def test_the_best_checkpoint_is_kept_while_the_last_moves_on(tmp_path: Path) -> None:
    run = create(tmp_path)
    save(run, 1)
    save(run, 2, best=True)
    for step in (3, 4):
        save(run, step)
    assert checkpoints(run) == {
        "best": "step-000002",
        "last": "step-000004",
        "step-000002": "",
        "step-000004": "",
    }
    assert json.loads((run.checkpoint("best") / "state.json").read_text()) == {"step": 2}


def test_a_better_checkpoint_takes_the_place_of_the_best(tmp_path: Path) -> None:
    run = create(tmp_path)
    for step in (1, 2):
        save(run, step, best=True)
    assert checkpoints(run) == {"best": "step-000002", "last": "step-000002", "step-000002": ""}


def test_the_best_checkpoint_may_be_saved_again_as_the_last(tmp_path: Path) -> None:
    run = create(tmp_path)
    save(run, 1, best=True)
    before = (run.checkpoint("best") / "model.safetensors").stat().st_mtime_ns
    save(run, 1)
    assert run.checkpoint("best") == run.checkpoint("last")
    assert (run.checkpoint("best") / "model.safetensors").stat().st_mtime_ns == before


def test_what_an_interrupted_save_left_is_no_checkpoint(tmp_path: Path) -> None:
    run = create(tmp_path)
    (run.root / "checkpoints" / ".step-000001").mkdir()
    (run.root / "checkpoints" / ".step-000001" / "half").touch()
    save(run, 1)
    assert checkpoints(run) == {"last": "step-000001", "step-000001": ""}
    assert sorted(file.name for file in run.checkpoint("last").iterdir()) == ["model.safetensors", "state.json"]


def test_weights_come_back_bit_for_bit(tmp_path: Path) -> None:
    run, model, loaded = create(tmp_path), nn.Linear(5, 5), layer(0).__class__(5, 5)
    run.save(1, model, {}, best=False)
    run.load_weights(loaded, "last")
    assert all(map(torch.equal, model.parameters(), loaded.parameters()))


def test_a_checkpoint_that_was_never_saved_is_named(tmp_path: Path) -> None:
    run = create(tmp_path)
    save(run, 1)
    assert refusal(run, "best") == (
        f"{tmp_path} has no checkpoint 'best': its run was stopped before it saved one"
    )


@pytest.mark.parametrize(
    ("content", "name"), [(b"step-000099\n", "step-000099"), (b"", "nothing"), (b"\xff\xff", "\ufffd\ufffd")]
)
def test_a_pointer_at_nothing_is_named(tmp_path: Path, content: bytes, name: str) -> None:
    run = create(tmp_path)
    save(run, 1)
    pointer = run.root / "checkpoints" / "last"
    pointer.write_bytes(content)
    assert refusal(run) == f"{pointer} points at {name}, which is not there"


def test_a_pointer_cannot_lead_out_of_the_run(tmp_path: Path) -> None:
    run, other = create(tmp_path / "run"), create(tmp_path / "other")
    save(run, 1)
    save(other, 2)
    (run.root / "checkpoints" / "last").write_text("../../other/checkpoints/step-000002")
    assert refusal(run).endswith("points at step-000002, which is not there")


@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_damaged_weights_are_named(tmp_path: Path, content: bytes | None) -> None:
    run = create(tmp_path)
    save(run, 1)
    file = run.checkpoint("last") / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4] if content is None else content)
    assert refusal(run).startswith(f"{file} cannot be read: ")


def test_missing_weights_are_named(tmp_path: Path) -> None:
    run = create(tmp_path)
    save(run, 1)
    file = run.checkpoint("last") / "model.safetensors"
    file.unlink()
    assert refusal(run).startswith(f"{file} cannot be read: ")


@pytest.mark.parametrize("model", [nn.Linear(3, 3), nn.Linear(2, 3, bias=False), nn.Sequential(nn.Linear(2, 3))])
def test_weights_of_another_model_are_named(tmp_path: Path, model: nn.Module) -> None:
    run = create(tmp_path)
    save(run, 1)
    file = run.checkpoint("last") / "model.safetensors"
    assert refusal(run, model=model).startswith(f"{file} does not fit the model: ")


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"^{tmp_path / 'nowhere'}: no such run directory$"):
        _ = RunDir(tmp_path / "nowhere").resolved


@pytest.mark.parametrize("name", ["resolved.toml", "tokenizer.json"])
def test_a_directory_that_is_no_run_is_named_with_what_it_lacks(tmp_path: Path, name: str) -> None:
    (create(tmp_path).root / name).unlink()
    with pytest.raises(CheckpointError, match=f"^{tmp_path} is not a run directory: it has no {name}$"):
        _ = RunDir(tmp_path).resolved


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe"])
def test_a_damaged_tokenizer_is_named(tmp_path: Path, content: bytes) -> None:
    run = create(tmp_path)
    (run.root / "tokenizer.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"^{run.root / 'tokenizer.json'} cannot be read: "):
        run.saved_tokenizer()


def pickles(node: ast.AST) -> bool:
    """Return whether a piece of source reads or writes pickles."""
    match node:
        case ast.Import(names):
            return any(name.name.split(".")[0] in PICKLERS for name in names)
        case ast.ImportFrom(module=str(module), names=names):
            from_torch = module.split(".")[0] == "torch" and {name.name for name in names} & {"save", "load"}
            return module.split(".")[0] in PICKLERS or bool(from_torch)
        case ast.Attribute(value=ast.Name(id="torch"), attr="save" | "load"):
            return True
    return False


PICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from pickle import loads", "torch.save(x, f)", "from torch import load", "a = torch.load"],
)
def test_a_pickle_would_be_found(source: str) -> None:
    assert any(map(pickles, ast.walk(ast.parse(source))))


def test_no_file_of_the_package_reads_or_writes_a_pickle() -> None:
    files = sorted(Path(gptkit.__file__).parent.rglob("*.py"))
    assert len(files) > 40
    assert not [file for file in files if any(map(pickles, ast.walk(ast.parse(file.read_bytes()))))]
