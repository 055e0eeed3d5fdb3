"""Reads a recipe: the file, the one it is based on, and the overrides."""

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

from gptkit.errors import Problem, RecipeError
from gptkit.recipe.keys import FILE_KEYS
from gptkit.recipe.toml_lines import Key
from gptkit.recipe.values import Leaf, Source, flatten, merge

# Far more than a recipe says, and little enough to look through line by line.
LIMIT = 1 << 20


@dataclass(frozen=True)
class Recipe:
    """A recipe as it was written; nothing is checked yet but that it is TOML.

    Args:
        text: The file's own text.
        leaves: Every value of the file, its bases and the overrides, by the path of keys that leads to it.
        plugins: The plugin files that it and its bases name.
    """

    path: Path
    text: str
    leaves: dict[Key, Leaf]
    plugins: tuple[Path, ...]


def read(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, its bases, and overrides of the form `KEY=VALUE`.

    Raises:
        RecipeError: If a file cannot be read or is not TOML, or an override is not of that form.
    """
    files = chain(path)
    values: dict[Key, Leaf] = {}
    plugins: list[Path] = []
    for own in reversed(files):
        plugins += named_plugins(own.pop(("plugins",), None))
        values = merge(values, own)
    for text in overrides:
        key, value, source = override(text)
        if isinstance(value, dict):
            # A table that is written out takes the place of the earlier one, options and all.
            values = {old: leaf for old, leaf in values.items() if old[: len(key)] != key}
        values = merge(values, flatten(value, source, under=key), inside=key)
    return Recipe(path, read_text(path, path.name), values, tuple(dict.fromkeys(plugins)))


def chain(path: Path) -> list[dict[Key, Leaf]]:
    """Return the values of a recipe file, of the file it is based on, and so on."""
    found: list[dict[Key, Leaf]] = []
    passed: list[Path] = []
    asked = "recipe"
    while True:
        if path.resolve() in passed:
            names = " → ".join(each.name for each in [*passed, path])
            raise RecipeError([Problem(asked, "base", f"recipes are based on each other in a circle: {names}")])
        passed.append(path.resolve())
        found.append(read_file(path, asked))
        base = found[-1].pop(("base",), None)
        if base is None:
            return found
        if not is_file_name(base.value):
            raise RecipeError([Problem(base.place, "base", f"takes one recipe file's name, found {base.value!r}")])
        path, asked = base.source.directory / base.value, base.place


def read_file(path: Path, asked: str) -> dict[Key, Leaf]:
    """Return the values of one file.

    Args:
        asked: Where the file was asked for, for the error.
    """
    text = read_text(path, asked)
    try:
        table = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        where = f"{path}:{error.lineno}"
        raise RecipeError([Problem(where, "", f"not TOML: {error.msg} at column {error.colno}")]) from None
    except (ValueError, RecursionError) as error:
        # Valid TOML, but with a number or a nesting that Python itself refuses.
        raise RecipeError([Problem(str(path), "", f"cannot be read: {error}")]) from None
    return flatten(table, Source(str(path), path.parent, text))


def read_text(path: Path, asked: str) -> str:
    """Return the text of a recipe file, without the byte-order mark that some editors write."""
    try:
        # Looked at before it is opened, because a device has no end and a pipe keeps whoever opens it waiting.
        if stat.S_ISREG(path.stat().st_mode) or path.is_dir():
            with path.open("rb") as file:
                content = file.read(LIMIT + 1)
            reason = f"it is larger than {LIMIT:,} bytes" if len(content) > LIMIT else ""
        else:
            content, reason = b"", "it is no file"
        if reason:
            raise RecipeError([Problem(asked, "", f"{path} cannot be read: {reason}")])
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise RecipeError([Problem(asked, "", f"no such file: {path}")]) from None
    except OSError as error:
        raise RecipeError([Problem(asked, "", f"{path} cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        message = f"not TOML: TOML is UTF-8, and byte {error.start} is not"
        raise RecipeError([Problem(str(path), "", message)]) from None


def override(text: str) -> tuple[Key, Any, Source]:
    """Return the key and the value of one `KEY=VALUE`. The value is TOML's; a bare word is a string."""
    key, equals, right = (piece.strip() for piece in text.partition("="))
    source = Source(f"--set {text}", Path.cwd())
    if not key or not equals or not right:
        example = "expected KEY=VALUE, such as model.attention=naive"
        raise RecipeError([Problem(source.name, "", example)])
    if key in FILE_KEYS:
        message = "only a recipe file can say that; a plugin file can also be named with --plugin"
        raise RecipeError([Problem(source.name, key, message)])
    try:
        value, *more = tomli.loads(f"value = {right}").values()
        if more:
            raise RecipeError([Problem(source.name, key, "not a TOML value: it goes on over more lines")])
    except tomli.TOMLDecodeError as error:
        if right[0] in "\"'[{":
            raise RecipeError([Problem(source.name, key, f"not a TOML value: {error.msg}")]) from None
        value = right
    except (ValueError, RecursionError) as error:
        raise RecipeError([Problem(source.name, key, f"cannot be read: {error}")]) from None
    # A number is the place in an array of tables, as in model.layer.0.attention.
    path = tuple(int(name) if name.isdecimal() and len(name) < 10 else name for name in key.split("."))
    if isinstance(path[-1], int) and not isinstance(value, dict):
        raise RecipeError([Problem(source.name, key, "sets one item of an array: write the whole array")])
    return path, value, source


def named_plugins(leaf: Leaf | None) -> Iterable[Path]:
    """Return the plugin files that a recipe names, each relative to the recipe."""
    if leaf is None:
        return []
    if not isinstance(leaf.value, list) or not all(map(is_file_name, leaf.value)):
        message = f'takes a list of files, such as ["mine.py"], found {leaf.value!r}'
        raise RecipeError([Problem(leaf.place, "plugins", message)])
    return [leaf.source.directory / name for name in leaf.value]


def is_file_name(value: object) -> bool:
    """Return whether a value can be a file's name."""
    return isinstance(value, str) and "\0" not in value
