"""Reads a recipe: the file, the one it is based on, and the overrides."""

import errno
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

from gptkit.errors import Problem, RecipeError
from gptkit.recipe.keys import FILE_KEYS
from gptkit.recipe.values import Key, Leaf, Source, flatten, merge

# Far more than any recipe needs, and small enough to parse line by line.
LIMIT = 1 << 20


@dataclass(frozen=True)
class Recipe:
    """A recipe as it was written; only its syntax is checked.

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
    values: dict[Key, Leaf] = {}
    plugins: list[Path] = []
    files = chain(path)
    for _, own in reversed(files):
        if named := own.pop(("plugins",), None):
            if not isinstance(named.value, list) or not all(map(is_file_name, named.value)):
                message = f'takes a list of files, such as ["mine.py"], found {named.value!r}'
                raise RecipeError([Problem(named.place, "plugins", message)])
            plugins += [named.source.directory / name for name in named.value]
        values = merge(values, own)
    for text in overrides:
        key, value, source = override(text)
        if isinstance(value, dict):
            # A table that is written out replaces the earlier one, including its options.
            values = {old: leaf for old, leaf in values.items() if old[: len(key)] != key}
        values = merge(values, flatten(value, source, under=key), inside=key)
    return Recipe(path, files[0][0], values, tuple(dict.fromkeys(plugins)))


def chain(path: Path) -> list[tuple[str, dict[Key, Leaf]]]:
    """Return the text and the values of a recipe file and of its bases, the file itself first."""
    found: list[tuple[str, dict[Key, Leaf]]] = []
    passed: list[Path] = []
    asked = "recipe"
    while True:
        if path.resolve() in passed:
            names = " → ".join(each.name for each in [*passed, path])
            raise RecipeError([Problem(asked, "base", f"recipes are based on each other in a circle: {names}")])
        passed.append(path.resolve())
        found.append(read_file(path, asked))
        base = found[-1][1].pop(("base",), None)
        if base is None:
            return found
        if not is_file_name(base.value):
            raise RecipeError([Problem(base.place, "base", f"takes one recipe file's name, found {base.value!r}")])
        path, asked = base.source.directory / base.value, base.place


def read_file(path: Path, asked: str) -> tuple[str, dict[Key, Leaf]]:
    """Return the text of one file, without the byte-order mark that some editors write, and its values.

    Args:
        asked: Where the file is named, for error messages.
    """
    try:
        # Checked before opening: a device has no end, and opening a pipe blocks.
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise OSError(errno.EINVAL, "it is no file")
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
        if len(content) > LIMIT:
            raise OSError(errno.EFBIG, f"it is larger than {LIMIT:,} bytes")
        text = content.decode("utf-8-sig")
        return text, flatten(tomli.loads(text), Source(str(path), path.parent, text))
    except FileNotFoundError:
        problem = Problem(asked, "", f"no such file: {path}")
    except OSError as error:
        problem = Problem(asked, "", f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        problem = Problem(str(path), "", f"not TOML: TOML is UTF-8, and byte {error.start} is not")
    except tomli.TOMLDecodeError as error:
        problem = Problem(f"{path}:{error.lineno}", "", f"not TOML: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        # Valid TOML, but its numbers or nesting exceed Python's limits.
        problem = Problem(str(path), "", f"cannot be read: {error}")
    raise RecipeError([problem])


def override(text: str) -> tuple[Key, Any, Source]:
    """Parse one `KEY=VALUE`. The value is TOML; a bare word is a string."""
    key, _, right = (piece.strip() for piece in text.partition("="))
    source = Source(f"--set {text}", Path.cwd())

    def refused(message: str) -> RecipeError:
        return RecipeError([Problem(source.name, key, message)])

    if not key or not right:
        raise RecipeError([Problem(source.name, "", "expected KEY=VALUE, such as model.attention=naive")])
    if key in FILE_KEYS:
        raise refused("only a recipe file can say that; a plugin file can also be named with --plugin")
    try:
        value, *more = tomli.loads(f"value = {right}").values()
    except tomli.TOMLDecodeError as error:
        if right[0] in "\"'[{":
            raise refused(f"not a TOML value: {error.msg}") from None
        value, more = right, []
    except (ValueError, RecursionError) as error:
        raise refused(f"cannot be read: {error}") from None
    if more:
        raise refused("not a TOML value: it goes on over more lines")
    # A number is an index into an array of tables, as in model.layer.0.attention.
    path = tuple(int(name) if name.isdecimal() and len(name) < 10 else name for name in key.split("."))
    if isinstance(path[-1], int) and not isinstance(value, dict):
        raise refused("sets one item of an array: write the whole array")
    return path, value, source


def is_file_name(value: object) -> bool:
    """Return whether a value can be a file's name."""
    return isinstance(value, str) and "\0" not in value
