"""Imports point down, and `import gptkit` is quick because it leaves torch alone."""

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gptkit

PACKAGE = Path(gptkit.__file__).parent
# A file may import what stands before it, and a file of a package also what stands in that package.
LEVELS = [
    ["errors", "hookspecs", "interfaces", "seeds", "user_cache", "version"],
    ["data", "gptkit", "nn", "optim"],
    ["components", "decoding", "registry"],
    ["model"],
    ["recipe"],
    ["storage", "training"],
    ["testing"],
    ["tuning"],
    ["run"],
    ["api", "bench"],
    ["cli"],
    ["__main__"],
]
ORDER = [name for level in LEVELS for name in level]
FILES = sorted(PACKAGE.rglob("*.py"))


def module(file: Path) -> str:
    """Return a file's name as an import says it."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(file): ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
each_module = pytest.mark.parametrize("name", MODULES)


def place(name: str) -> str:
    """Return what stands for a module in the order."""
    return name.split(".")[1] if "." in name else name


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node of a file but those that only a type checker reads."""
    yield node
    for below in ast.iter_child_nodes(node):
        if not (isinstance(below, ast.If) and ast.unparse(below.test) == "TYPE_CHECKING"):
            yield from statements(below)


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the modules of gptkit that a file imports, at its head or inside a function."""
    for node in statements(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else str(node.module) for name in inside]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "gptkit")


def test_every_import_is_seen() -> None:
    text = """
import gptkit, torch
from gptkit import hookspecs, __version__
from gptkit.recipe.read import read
if TYPE_CHECKING:
    from gptkit.load import load
def lazily():
    import gptkit.model
"""
    assert list(imported(ast.parse(text))) == [
        "gptkit",
        "gptkit.hookspecs",
        "gptkit",
        "gptkit.recipe.read",
        "gptkit.model",
    ]


def test_every_file_has_a_place_in_the_order_and_every_place_a_file() -> None:
    assert sorted({place(name) for name in MODULES}) == sorted(ORDER)


@each_module
def test_imports_point_down(name: str) -> None:
    below = ORDER[: ORDER.index(place(name)) + 1]
    assert [other for other in imported(MODULES[name]) if place(other) not in below] == []


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("gptkit.components.")])
def test_components_never_import_one_another(name: str) -> None:
    assert [other for other in imported(MODULES[name]) if place(other) == "components"] == []


@each_module
def test_no_import_is_relative(name: str) -> None:
    nodes = [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.ImportFrom)]
    assert [node.lineno for node in nodes if node.level] == []


@each_module
def test_only_the_command_line_prints(name: str) -> None:
    names = [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.Name) and node.id == "print"]
    assert [node.lineno for node in names if place(name) != "cli"] == []


@pytest.mark.parametrize("name", ["gptkit", "gptkit.cli"])
def test_importing_it_imports_no_torch(name: str) -> None:
    program = f"import sys, {name}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


@pytest.mark.parametrize("name", ["build", "load"])
def test_the_public_functions_are_functions_whatever_else_was_imported(name: str) -> None:
    for each in MODULES:
        importlib.import_module(each)
    assert inspect.isfunction(getattr(gptkit, name))


def test_a_name_that_gptkit_does_not_have_is_an_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'gptkit' has no attribute 'biuld'$"):
        _ = gptkit.biuld
