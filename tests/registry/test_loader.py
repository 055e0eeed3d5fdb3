"""Plugins: found, loaded apart from each other, and each failure told with its plugin, file and line."""

import importlib
import importlib.metadata
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import gptkit
from gptkit.errors import PluginError, RecipeError
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.check import check_parts
from gptkit.recipe.read import read
from gptkit.recipe.resolve import resolve
from gptkit.registry.loader import BUILT_INS, Plugins, import_file
from gptkit.registry.registry import Entry

Write = Callable[..., Path]
HEAD = """\
import gptkit
from gptkit.components.feed_forward.relu import ReluFeedForward

class MineFeedForward(ReluFeedForward):
    '''Mine.'''
"""
HOOK = """
@gptkit.hookimpl
def gptkit_register(register):
    register("{name}", MineFeedForward)
"""
GOOD = HEAD + HOOK.format(name="mine")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a plugin file, `mine.py` unless it is called otherwise."""

    def write_file(text: str, name: str = "mine.py") -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    return write_file


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand in for the installed entry points: a list that a test may fill."""
    points: list[Any] = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points if group == "gptkit" else [])
    return points


def point(name: str, load: Callable[[], object], version: str | None = "1.2") -> SimpleNamespace:
    """Return what stands in for an installed plugin's entry point."""
    return SimpleNamespace(name=name, value=f"{name}_plugin", dist=SimpleNamespace(version=version), load=load)


def test_the_built_ins_are_plugins_like_any_other() -> None:
    plugins = Plugins()
    assert [plugin.name for plugin in plugins.loaded] == list(BUILT_INS)
    assert {plugin.title.rpartition(" ")[2] for plugin in plugins.loaded} == {gptkit.__version__}
    assert plugins.failed == []
    assert plugins.failures() == ""


def test_a_file_is_loaded_and_its_parts_have_an_owner(write: Write) -> None:
    file = write(GOOD)
    plugin = Plugins([file]).loaded[-1]
    assert (plugin.name, plugin.origin, plugin.title) == ("mine.py", str(file), "mine.py")
    assert [(entry.kind, entry.name, entry.owner) for entry in plugin.parts] == [
        ("feed_forward", "mine", "mine.py")
    ]


def test_a_file_that_is_named_twice_is_loaded_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(GOOD)
    monkeypatch.chdir(file.parent)
    plugins = Plugins([file, Path("mine.py"), file.parent / "." / ".." / file.parent.name / "mine.py"])
    assert plugins.files == [file]
    assert [plugin.name for plugin in plugins.loaded[len(BUILT_INS) :]] == ["mine.py"]


def test_two_files_of_one_name_are_two_plugins(write: Write) -> None:
    first, second = write(GOOD), write("\n\n" + HEAD + HOOK.format(name="other"), "inner/mine.py")
    found = Plugins([first, second])
    assert [plugin.origin for plugin in found.loaded[-2:]] == [str(first), str(second)]
    with pytest.raises(PluginError) as caught:
        Plugins([first, write("\n\n" + GOOD, "inner/mine.py")])
    assert f"mine.py offers MineFeedForward ({first}:4), and mine.py offers MineFeedForward ({second}:6)" in str(
        caught.value
    )


@pytest.mark.parametrize("name", ["gone.py", "", "x" * 300 + ".py"], ids=["gone", "directory", "too-long"])
def test_a_file_that_is_not_there_is_an_error_of_the_recipe(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Plugins([tmp_path / name])
    assert str(caught.value) == f"{tmp_path / name}  plugins  no such plugin file"


NO_HOOK = "it offers nothing: mark a function gptkit_register(register) with @gptkit.hookimpl"
# What a file does wrong, and what is said of it: FILE is the file, and … stands for any words.
FAILURES = {
    "raises": ("\nraise RuntimeError('boom')", "RuntimeError: boom (FILE:2)"),
    "raises in torch": ("import torch\ntorch.zeros(-1)", "RuntimeError: … (FILE:2)"),
    "exits": ("import sys\n\nsys.exit(3)", "SystemExit: 3 (FILE:3)"),
    "imports what is not there": ("import nowhere", "ModuleNotFoundError: No module named 'nowhere' (FILE:1)"),
    "is not Python": ("a = 1\ndef", "SyntaxError: invalid syntax (FILE:2)"),
    "has no hook": (HEAD, NO_HOOK),
    "does not mark its hook": (GOOD.replace("@gptkit.hookimpl", ""), NO_HOOK),
    "misspells its hook": (
        GOOD.replace("gptkit_register", "gptkit_registre"),
        "unknown hook 'gptkit_registre'…",
    ),
    "misspells one hook of two": (
        GOOD + HOOK.format(name="more").replace("gptkit_register", "gptkit_registre"),
        "unknown hook 'gptkit_registre'…",
    ),
    "misspells the parameter": (GOOD.replace("(register)", "(registry)"), "…{'registry'}…"),
    "misspells hook and parameter": (
        GOOD.replace("(register)", "(registry)") + "\n@gptkit.hookimpl\ndef gptkit_add(): ...\n",
        "…{'registry'}…",
    ),
    "raises in its hook": (GOOD + "    1 / 0", "ZeroDivisionError: division by zero (FILE:10)"),
    "takes a taken name": (
        GOOD.replace('"mine"', '"relu"'),
        "the feed_forward name 'relu' is taken: gptkit.components.feed_forward.relu offers ReluFeedForward "
        "(…relu.py:…), and mine.py offers MineFeedForward (FILE:4). Rename one",
    ),
    "offers what does not fit": (
        HEAD + "    def __init__(self, dims, **rest): ...\n" + HOOK.format(name="mine"),
        "MineFeedForward (FILE:4) does not fit FeedForward: its constructor takes **rest: name each option, so "
        "that a wrong one is an error",
    ),
    "offers no class": (
        GOOD.replace(", MineFeedForward)", ", 'mine')"),
        "'mine' is not a class: register(name, part) takes the class itself",
    ),
}
each_failure = pytest.mark.parametrize(("text", "failure"), FAILURES.values(), ids=list(FAILURES))


def says(failure: str, file: Path) -> re.Pattern[str]:
    """Return what matches a text of the table."""
    return re.compile(re.escape(failure).replace("FILE", re.escape(str(file))).replace("…", ".*"), re.DOTALL)


@each_failure
def test_a_file_that_fails_is_told_with_what_failed_and_where(write: Write, text: str, failure: str) -> None:
    file = write(text)
    with pytest.raises(PluginError) as caught:
        Plugins([file])
    prefix = f"plugin mine.py ({file}) does not load: "
    assert str(caught.value).startswith(prefix)
    assert says(failure, file).fullmatch(str(caught.value).removeprefix(prefix))


def test_a_file_that_is_not_python_by_its_name_is_told(write: Write) -> None:
    file = write(GOOD, "mine.txt")
    message = f"plugin mine.txt ({file}) does not load: it is not a Python file: its name must end in .py"
    with pytest.raises(PluginError, match=f"^{re.escape(message)}$"):
        Plugins([file])


@each_failure
def test_an_installed_plugin_that_fails_is_listed_and_stops_no_other(
    write: Write, installed: list[Any], text: str, failure: str
) -> None:
    broken, good = write(text), write(GOOD, "good.py")
    installed += [point("mine.py", partial(import_file, broken)), point("good", partial(import_file, good))]
    plugins = Plugins()
    (failed,) = plugins.failed
    assert (failed.title, failed.origin, failed.parts) == ("mine.py 1.2", "entry point mine.py_plugin", ())
    assert failed.failure
    assert says(failure, broken).fullmatch(failed.failure)
    assert plugins.loaded[-1].title == "good 1.2"
    assert [entry for entry in plugins.registry if entry.owner == "mine.py"] == []
    assert plugins.registry.get("feed_forward", "mine").owner == "good"


TINY = "[model]\nn_layer = 1\nn_head = 2\nn_embd = 8\nblock_size = 4\n[train]\nbatch_size = 2\nmax_iters = 3\n"


def test_a_recipe_that_needs_nothing_from_a_failed_plugin_runs(
    write: Write, installed: list[Any], tmp_path: Path
) -> None:
    installed.append(point("broken", partial(import_file, write("raise RuntimeError('boom')"))))
    (tmp_path / "tiny.toml").write_text(TINY)
    assert resolve(read(tmp_path / "tiny.toml"), Plugins()).parts["attention"].name == "sdpa"


def test_a_name_that_nobody_offers_is_told_with_the_plugins_that_failed(
    write: Write, installed: list[Any], tmp_path: Path
) -> None:
    file = write("raise RuntimeError('boom')")
    installed += [point("broken", partial(import_file, file)), point("odd", partial(import_file, file), None)]
    (tmp_path / "tiny.toml").write_text(TINY)
    with pytest.raises(RecipeError) as caught:
        resolve(read(tmp_path / "tiny.toml", ["model.norm=theirs"]), Plugins())
    assert str(caught.value) == (
        "--set model.norm=theirs  model.norm  no Norm is called 'theirs'. Known: layernorm, rmsnorm. "
        f"Plugins that did not load, and may offer it: broken 1.2: RuntimeError: boom ({file}:1); "
        f"odd: RuntimeError: boom ({file}:1)."
    )


def test_installed_plugins_are_found_in_the_group_of_gptkit(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(GOOD, "outside/gptkit_outside.py")
    information = file.parent / "outside-3.1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 3.1\n")
    (information / "entry_points.txt").write_text("[gptkit]\noutside = gptkit_outside\n")
    monkeypatch.undo()
    monkeypatch.syspath_prepend(file.parent)
    plugin = next(plugin for plugin in Plugins().loaded if plugin.name == "outside")
    assert (plugin.title, plugin.origin) == ("outside 3.1", "entry point gptkit_outside")
    assert [entry.name for entry in plugin.parts] == ["mine"]


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    """Load the file of every built-in as a plugin, with nothing changed but the part's class and name."""
    files = []
    for module in BUILT_INS:
        source = Path(str(importlib.import_module(module).__file__)).read_text(encoding="utf-8")
        name, part = re.findall(r'register\("(\w+)", (\w+)\)', source)[0]
        # Not behind a dot: `nn.LayerNorm` is PyTorch's.
        text = re.sub(rf"(?<!\.)\b{part}\b", f"Copied{part}", source).replace(f'"{name}"', f'"copied_{name}"')
        files.append(tmp_path_factory.mktemp("copies") / f"copied_{name}.py")
        files[-1].write_text(text, encoding="utf-8")
    return Plugins(files)


def built(plugins: Plugins, entry: Entry, directory: Path) -> dict[str, Any]:
    """Return what a recipe makes of a part: the weights of a model with it, or what the part holds."""
    (directory / "tiny.toml").write_text(TINY)
    given = {"use": entry.name} | ({"path": "book.txt"} if entry.options.get("path") else {})
    words = ", ".join(f'{name} = "{value}"' for name, value in given.items())
    section = {"tokenizer": "data", "corpus": "data", "optimizer": "train", "schedule": "train"}.get(
        entry.kind, "model"
    )
    recipe = resolve(read(directory / "tiny.toml", [f"{section}.{entry.kind}={{ {words} }}"]), plugins)
    assembler = Assembler(recipe, plugins.registry)
    check_parts(assembler)
    if section == "model":
        model = assembler.model(vocab_size=5)
        assert any(type(module) is entry.part for module in model.modules())
        return model.state_dict()
    made = assembler.tokenizer(["hello"]) if entry.kind == "tokenizer" else getattr(assembler, entry.kind)()
    assert type(made) is entry.part
    return vars(made)


@pytest.mark.parametrize("module", BUILT_INS)
def test_a_built_in_that_is_copied_out_and_renamed_is_a_working_plugin(
    copies: Plugins, tmp_path: Path, module: str
) -> None:
    kind, name = module.split(".")[2:]
    original, copy = copies.registry.get(kind, name), copies.registry.get(kind, f"copied_{name}")
    assert copy.owner == f"copied_{name}.py"
    assert copy.part is not original.part
    assert (copy.summary, list(map(str, copy.options.values()))) == (
        original.summary,
        list(map(str, original.options.values())),
    )
    made, expected = built(copies, copy, tmp_path), built(copies, original, tmp_path)
    assert made.keys() == expected.keys()
    assert all(torch.equal(each, expected[key]) for key, each in made.items() if isinstance(each, torch.Tensor))
    assert all(each == expected[key] for key, each in made.items() if not isinstance(each, torch.Tensor))
