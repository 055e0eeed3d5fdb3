"""The README tells the truth: its commands, its options, its Python, its plugin and its recipe."""

import re
import shlex
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomli
import torch
import typer

import gptkit as gptkit_package
from gptkit.cli import app, main
from gptkit.recipe.keys import KEYS
from gptkit.recipe.read import read
from gptkit.recipe.resolve import resolve
from gptkit.registry.loader import Plugins

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
SHELL = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
PYTHON = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [line.partition(" #")[0].strip() for line in SHELL if line.startswith("gptkit")]
SMALL = (
    "--set model.n_layer=1 --set model.n_head=1 --set model.n_embd=8 --set model.block_size=8 "
    "--set train.max_iters=2 --set train.schedule.warmup=0"
)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty directory with the recipes and plugins in it, and go there."""
    for folder in ("recipes", "plugins"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gptkit(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code, command


def test_there_are_commands_to_check() -> None:
    verbs = {command.split()[1] for command in COMMANDS} - {"--version"}
    verbs_known = {"run", "resume", "verify", "sample", "components", "plugins", "recipe", "check", "new", "bench"}
    assert verbs == verbs_known


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_exists_and_its_options_are_real(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = typer.main.get_command(app)

    def silence(node: object) -> None:
        for child in getattr(node, "commands", {}).values():
            silence(child)
        if not hasattr(node, "commands"):
            monkeypatch.setattr(node, "callback", lambda **_: None)

    silence(root)
    root(shlex.split(command)[1:], standalone_mode=False)


# recipes/mine.toml is the reader's.
NAMED = set(re.findall(r"(?:recipes|plugins|gptkit)/\w+\.(?:toml|py)", README)) - {"recipes/mine.toml"}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_file_it_names_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


def test_every_entry_of_the_tree_is_there() -> None:
    (tree,) = [text for language, text in BLOCKS if language == "text" and text.startswith("gptkit/\n")]
    for line in tree.splitlines():
        folder = ROOT / "gptkit" if line.startswith("  ") else ROOT
        for name in re.findall(r"\b\w+(?:\.py\b|/)", line):
            assert (folder / name).exists(), name


def test_set_up_commands_name_what_is_there() -> None:
    first, second = (line for line in SHELL if line.startswith("python -m venv"))
    assert first.endswith("pip install -e . && gptkit run recipes/gpt_tiny.toml")
    assert second.endswith("pip install -e '.[dev]' && pytest")
    project = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "dev" in project["project"]["optional-dependencies"]


def python(word: str) -> str:
    """Return the one Python block that contains a word."""
    (block,) = [text for text in PYTHON if word in text]
    return block


def test_python_on_a_run_directory_works(
    workshop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gptkit(monkeypatch, f"gptkit run recipes/gpt_tiny.toml --out runs/gpt_tiny {SMALL}")
    capsys.readouterr()
    exec(python("gptkit.load"), {})
    assert len(capsys.readouterr().out) == 501 + 1


def test_python_that_trains_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word for word in SMALL.split() if word != "--set"]
    monkeypatch.setattr("gptkit.train", partial(gptkit_package.train, overrides=words))
    exec(python("gptkit.train"), {})
    step, loss = capsys.readouterr().out.split()
    assert (step, float(loss) > 0) == ("2", True)


def test_python_without_a_run_works(monkeypatch: pytest.MonkeyPatch) -> None:
    # Timing the attentions is tested elsewhere, and takes most of a minute at this size.
    monkeypatch.setattr("gptkit.build", partial(gptkit_package.build, overrides=["model.attention=sdpa"]))
    names: dict[str, Any] = {}
    exec(python("gptkit.build"), names)
    assert sum(weight.numel() for weight in names["model"].parameters()) == 10_788_929
    assert names["logits"].shape == (1, 256, 65)


def test_a_gpt_made_of_classes_is_that_of_the_recipe() -> None:
    block = python("BlockParts")
    assert len([line for line in block.splitlines() if line]) < 10
    names: dict[str, Any] = {}
    with torch.device("meta"):
        exec(block, names)
    built = gptkit_package.build("gpt_small", vocab_size=65, overrides=["model.attention=sdpa"])
    assert repr(names["model"]) == repr(built)
    assert names["model"](torch.zeros(1, 3, dtype=torch.long, device="meta")).shape == (1, 3, 65)


def test_plugin_works_with_the_command_below_it(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workshop / "hot_norm.py").write_text(python("HotNorm"))
    (command,) = [command for command in COMMANDS if "hot_norm.py" in command]
    gptkit(monkeypatch, f"{command} {SMALL} --out hot")
    assert tomli.loads(Path("hot/resolved.toml").read_text())["model"]["norm"] == {
        "use": "hot",
        "heat": 1.5,
    }


def test_the_contract_in_one_line_is_a_test_for_each_promise() -> None:
    names: dict[str, object] = {}
    exec(python("contract("), names)
    (mark,) = names["test_mine"].pytestmark  # type: ignore[attr-defined]
    assert "positions_are_independent" in [each.id for each in mark.args[1]]


def test_what_it_begins_a_part_with_works(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = [command for command in COMMANDS if command.startswith("gptkit new")]
    assert len(begun) == 2
    for command in begun:
        gptkit(monkeypatch, command)
    gptkit(monkeypatch, f"gptkit run mine.toml {SMALL} --out mine")
    gptkit(monkeypatch, "gptkit check mine.py --only never_reads_the_future")


def test_recipe_reference_is_a_recipe_and_names_every_key(workshop: Path) -> None:
    (reference,) = [text for language, text in BLOCKS if language == "toml"]
    (workshop / "recipes/reference.toml").write_text(reference, encoding="utf-8")
    recipe = read(workshop / "recipes/reference.toml")
    assert resolve(recipe, Plugins(recipe.plugins)).layers[4]["attention"].name == "naive"
    for keys in KEYS.values():
        for key in keys:
            assert re.search(rf"\b{key}\b", reference), key


def test_problems_it_shows_are_what_gptkit_says(
    workshop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shown,) = [text for language, text in BLOCKS if language == "text" and "Did you mean" in text]
    (workshop / "recipes/mine.toml").write_text(
        'base = "gpt_small.toml"\n\n[model]\nattention = "spda"\nfeed_forward = { use = "relu", expnd = 4 }\n'
    )
    monkeypatch.setattr(sys, "argv", ["gptkit", "recipe", "check", "recipes/mine.toml"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err == shown
