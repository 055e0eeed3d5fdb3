"""Reads a recipe: the file, the one it is based on and the overrides, with where each value was written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli

from gptkit.errors import Problem, RecipeError
from gptkit.toml_lines import Key, key_lines, leaves

# The keys of each section that name a part. Each is called what its kind is called.
SLOTS = {
    "model": ("attention", "feed_forward", "norm", "position", "block"),
    "data": ("corpus", "tokenizer"),
    "train": ("optimizer", "schedule"),
}

# The keys that decide which files are read.
FILE_KEYS = ("base", "plugins")


@dataclass(frozen=True)
class Source:
    """A recipe file, or one `--set` of the command line, whose paths are relative to a directory."""

    name: str
    directory: Path
    text: str = ""

    @cached_property
    def lines(self) -> dict[Key, int]:
        """The line of each key."""
        return key_lines(self.text)

    def place(self, key: Key) -> str:
        """Return where a key stands, such as `recipes/mine.toml:9`."""
        # A part may be written short, `attention = "sdpa"`: then its `use` stands one key up.
        line = self.lines.get(key) or self.lines.get(key[:-1]) if self.text else None
        return f"{self.name}:{line}" if line else self.name


@dataclass(frozen=True)
class Leaf:
    """One value, with where it was written."""

    value: Any
    source: Source
    key: Key

    @property
    def place(self) -> str:
        """Where it was written."""
        return self.source.place(self.key)


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
        values = overlay(values, own)
    for written in map(override, overrides):
        values = overlay(values, written)
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
        if not isinstance(base.value, str):
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
    return spread(table, Source(str(path), path.parent, text))


def read_text(path: Path, asked: str) -> str:
    """Return the text of a recipe file."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise RecipeError([Problem(asked, "", f"no such file: {path}")]) from None
    except OSError as error:
        raise RecipeError([Problem(asked, "", f"{path} cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        message = f"not TOML: TOML is UTF-8, and byte {error.start} is not"
        raise RecipeError([Problem(str(path), "", message)]) from None


def override(text: str) -> dict[Key, Leaf]:
    """Return what one `KEY=VALUE` sets. The value is TOML's; a bare word is a string."""
    key, equals, right = text.partition("=")
    source = Source(f"--set {text}", Path.cwd())
    if not key or not equals or not right:
        example = "expected KEY=VALUE, such as model.attention=naive"
        raise RecipeError([Problem(source.name, "", example)])
    if key in FILE_KEYS:
        message = "only a recipe file can say that; a plugin file can also be named with --plugin"
        raise RecipeError([Problem(source.name, key, message)])
    try:
        value = tomli.loads(f"value = {right}")["value"]
    except tomli.TOMLDecodeError as error:
        if right[0] in "\"'[{":
            raise RecipeError([Problem(source.name, key, f"not a TOML value: {error.msg}")]) from None
        value = right
    for name in reversed(key.split(".")):
        value = {name: value}
    return spread(value, source)


def spread(table: dict[str, Any], source: Source) -> dict[Key, Leaf]:
    """Return the values in a table by the path of keys that leads to them; `"sdpa"` becomes `use = "sdpa"`."""
    return {
        (*key, "use") if names_part(key) and isinstance(value, str) else key: Leaf(value, source, key)
        for key, value in leaves(table)
    }


def names_part(key: Key) -> bool:
    """Return whether a key, such as `model.attention` or `model.layer[0].attention`, holds a part."""
    match key:
        case (str(section), str(slot)):
            return slot in SLOTS.get(section, ())
        case ("model", "layer", int(), str(slot)):
            return slot in SLOTS["model"]
    return False


def overlay(under: dict[Key, Leaf], over: dict[Key, Leaf]) -> dict[Key, Leaf]:
    """Return the values of both; where both have one, that of `over`. An array of tables is replaced whole."""
    kept = {key: leaf for key, leaf in under.items() if not any(replaces(new, key) for new in over)}
    added = {
        key: leaf
        for key, leaf in over.items()
        # An empty table says nothing where there is one already.
        if leaf.value != {} or not any(old[: len(key)] == key for old in kept)
    }
    return kept | added


def replaces(new: Key, old: Key) -> bool:
    """Return whether a new value takes the place of an old one, or of a table or array that the old is in."""
    shared = min(len(new), len(old))
    arrays = (i for i, name in enumerate(new) if isinstance(name, int))
    return new[:shared] == old[:shared] or any(new[:i] == old[:i] for i in arrays)


def named_plugins(leaf: Leaf | None) -> Iterable[Path]:
    """Return the plugin files that a recipe names, each relative to the recipe."""
    if leaf is None:
        return []
    if not isinstance(leaf.value, list) or not all(isinstance(name, str) for name in leaf.value):
        message = f'takes a list of files, such as ["mine.py"], found {leaf.value!r}'
        raise RecipeError([Problem(leaf.place, "plugins", message)])
    return [leaf.source.directory / name for name in leaf.value]
