import ast
import json
from pathlib import Path
from typing import Any

import pytest
import tomli

import gptkit
from gptkit.errors import CheckpointError, UsageError
from gptkit.storage import fault_injection as faults
from gptkit.storage.run_writer import RunWriter

DOCUMENT = {"model": {"n_layer": 2}, "train": {"max_iters": 5}}


def create(root: Path, **changes: Any) -> RunWriter:
    arguments: dict[str, Any] = {
        "recipe": "# a recipe\r\n[model]\r\n",
        "document": DOCUMENT,
        "plugins": [],
        "tokenizer": {"characters": "\naß"},
        "origin": {"dtype": "fp32"},
        "environment": {"python": "3"},
    }
    return RunWriter.create(root, **arguments | changes)


def test_a_new_run_holds_all_that_is_known_before_the_first_step(tmp_path: Path) -> None:
    root = create(tmp_path / "deep" / "run").root
    assert sorted(file.name for file in root.iterdir()) == [
        "checkpoints",
        "env.json",
        "lock",
        "metrics.jsonl",
        "origin.json",
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


def test_samples_are_kept_exactly(tmp_path: Path) -> None:
    create(tmp_path).write_sample(42, "Ünï\r\ncode\n")
    file = tmp_path / "samples" / "step-000042.txt"
    assert file.read_bytes() == "Ünï\r\ncode\n".encode()


def test_the_picture_of_the_loss_curves_is_kept(tmp_path: Path) -> None:
    create(tmp_path).write_loss_curves(b"a picture")
    assert (tmp_path / "loss.png").read_bytes() == b"a picture"


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"^{tmp_path / 'nowhere'}: no such run directory$"):
        _ = RunWriter(tmp_path / "nowhere").resolved


@pytest.mark.parametrize("name", ["resolved.toml", "tokenizer.json"])
def test_a_directory_that_is_no_run_is_named_with_what_it_lacks(tmp_path: Path, name: str) -> None:
    (create(tmp_path).root / name).unlink()
    with pytest.raises(CheckpointError, match=f"^{tmp_path} is not a run directory: it has no {name}$"):
        _ = RunWriter(tmp_path).resolved


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe"])
def test_a_damaged_tokenizer_is_named(tmp_path: Path, content: bytes) -> None:
    run = create(tmp_path)
    (run.root / "tokenizer.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"^{run.root / 'tokenizer.json'} cannot be read: "):
        run.saved_tokenizer()


def test_what_fails_while_a_directory_is_made_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPTKIT_FAULT", "ENOSPC@write:3")
    faults.reached.clear()
    with pytest.raises(OSError, match="No space left on device"):
        create(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


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
