"""Imports point down, from package to package, and `import gptkit` is quick because it leaves torch alone.

The registry names the built-in parts as modules, in strings, and loads them as plugins: that is no import.
"""

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gptkit

PACKAGE = Path(gptkit.__file__).parent
# The packages, and the files beside them. Each may import itself and what is named before it.
LEVELS = [
    ["errors", "hookspecs", "seeds", "user_cache", "version", "gptkit", "interfaces"],
    ["nn", "optim", "data"],
    ["components", "registry"],
    ["decoding", "model"],
    ["recipe"],
    ["training", "storage", "testing"],
    ["tuning"],
    ["run"],
    ["api"],
    ["bench", "cli", "__main__"],
]
ORDER = [name for level in LEVELS for name in level]
PACKAGES = sorted(file.parent.name for file in PACKAGE.glob("*/__init__.py"))
# Fewer than what stands below them.
MAY_IMPORT = {
    "components": {"interfaces", "nn", "optim", "data", "hookspecs", "errors"},
    "nn": {"interfaces", "errors", "seeds"},
    "data": {"interfaces", "errors", "seeds", "user_cache"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def module(file: Path) -> str:
    """Return a file's name as an import says it."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(file): ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
each_module = pytest.mark.parametrize("name", MODULES)


def home(name: str) -> str:
    """Return the package of a module, or the file beside the packages, as the order names it."""
    return name.split(".")[1] if "." in name else name


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the modules of gptkit that a file imports: at its head, inside a function, or for a type checker."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else str(node.module) for name in inside]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "gptkit")


def used(name: str) -> set[str]:
    """Return the packages, and files beside them, that a module imports, but for its own."""
    # `gptkit` itself offers what is above it, lazily: those imports are read by type checkers alone.
    body = MODULES[name].body if name != "gptkit" else [node for node in MODULES[name].body if not is_typing(node)]
    return {home(other) for node in body for other in imported(node)} - {home(name)}


def is_typing(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_every_import_is_seen() -> None:
    text = """
import gptkit, torch
from gptkit import hookspecs, __version__
from gptkit.recipe.read import read
if TYPE_CHECKING:
    from gptkit.api import load
def lazily():
    import gptkit.model
"""
    assert sorted(imported(ast.parse(text))) == [
        "gptkit",
        "gptkit",
        "gptkit.api",
        "gptkit.hookspecs",
        "gptkit.model",
        "gptkit.recipe.read",
    ]


def test_every_file_has_a_place_in_the_order_and_every_place_a_file() -> None:
    assert sorted({home(name) for name in MODULES}) == sorted(ORDER)


def test_there_are_fourteen_packages_and_at_most_ten_files_beside_them() -> None:
    assert len(PACKAGES) == 14
    assert len(list(PACKAGE.glob("*.py"))) <= 10


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_it_holds_and_what_it_may_import(package: str) -> None:
    text = " ".join((ast.get_docstring(MODULES[f"gptkit.{package}"]) or "").split())
    assert "Imports" in text or text.count(". ") >= 1, text


@each_module
def test_imports_point_down(name: str) -> None:
    below = ORDER[: ORDER.index(home(name))]
    assert sorted(used(name) - set(below)) == []


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_what_parts_are_made_of_knows_no_recipe_and_no_registry(package: str) -> None:
    found = {each for name in MODULES if home(name) == package for each in used(name)}
    assert sorted(found - MAY_IMPORT[package]) == []


def test_no_packages_import_one_another_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for name in MODULES:
        graph.setdefault(home(name), set()).update(used(name))
    # Raises CycleError, which names the circle.
    assert len(list(TopologicalSorter(graph).static_order())) == len(ORDER)


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("gptkit.components.")])
def test_components_never_import_one_another(name: str) -> None:
    assert [other for other in imported(MODULES[name]) if home(other) == "components"] == []


@each_module
def test_no_import_is_relative(name: str) -> None:
    nodes = [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.ImportFrom)]
    assert [node.lineno for node in nodes if node.level] == []


@each_module
def test_only_the_command_line_prints(name: str) -> None:
    names = [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.Name) and node.id == "print"]
    assert [node.lineno for node in names if home(name) != "cli"] == []


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
