"""The values of a recipe by their paths of keys, each with the file and line where it was written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli

from gptkit.recipe.keys import DEFAULTS, SLOTS

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Source:
    """A recipe file or one `--set`; relative paths in it start in `directory`."""

    name: str
    directory: Path
    text: str = ""

    @cached_property
    def lines(self) -> dict[Key, int]:
        """The line of each key."""
        return key_lines(self.text)


@dataclass(frozen=True)
class Leaf:
    """One value and where it was written."""

    value: Any
    source: Source
    key: Key

    @property
    def place(self) -> str:
        """Where it was written, such as `recipes/mine.toml:9`."""
        lines = self.source.lines if self.source.text else {}
        # In the short form `attention = "sdpa"` the line of `use` is that of `attention`.
        line = lines.get(self.key) or lines.get(self.key[:-1])
        return f"{self.source.name}:{line}" if line else self.source.name


def leaves(value: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Yield every value in nested tables and arrays of tables, after its path of keys."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from leaves(below, (*key, name))
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for i, below in enumerate(value):
            yield from leaves(below, (*key, i))
    else:
        yield key, value


def key_lines(text: str) -> dict[Key, int]:
    """Return the line, counted from 1, on which each value of a valid TOML document is written.

    Each statement is parsed once more, after all table headers so far: a value that this adds stands on the
    statement's first line.
    """
    found: dict[Key, int] = {}
    headers = statement = ""
    first = 1
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        try:
            table = tomli.loads(headers + statement)
        except tomli.TOMLDecodeError:
            continue  # the value continues on the next line
        for key, _ in leaves(table):
            found.setdefault(key, first)
        if statement.lstrip().startswith("["):
            headers += statement
        statement, first = "", number + 1
    return found


def names_part(key: Key) -> bool:
    """Return whether a key, such as `model.attention` or `model.layer[0].attention`, holds a part."""
    match key:
        case (str(section), str(slot)):
            return slot in SLOTS.get(section, ())
        case ("model", "layer", int(), str(slot)):
            return slot in SLOTS["model"]
    return False


def flatten(value: Any, source: Source, *, under: Key = ()) -> dict[Key, Leaf]:
    """Return the values in a table by their paths of keys; a part's name becomes its `use`."""
    return {
        (*key, "use") if names_part(key) and isinstance(subtree, str) else key: Leaf(subtree, source, key)
        for key, subtree in leaves(value, under)
    }


def merge(under: dict[Key, Leaf], over: dict[Key, Leaf], *, inside: Key = ()) -> dict[Key, Leaf]:
    """Return the values of both; `over` wins.

    Args:
        inside: The key that `over` was written for. An array of tables on the path to it is changed at one index;
            any other array of tables replaces the earlier one.
    """
    # An empty table changes nothing where there is a table already.
    written = {key: leaf for key, leaf in over.items() if leaf.value != {} or not subtree(key, under)}
    return {
        key: leaf for key, leaf in under.items() if not any(replaces(new, key, inside) for new in written)
    } | written


def replaces(new: Key, old: Key, inside: Key) -> bool:
    """Return whether a new value replaces an old one, or a table or array that holds the old one."""
    shared = min(len(new), len(old))
    arrays = [i for i, name in enumerate(new) if isinstance(name, int) and i >= len(inside)]
    return new[:shared] == old[:shared] or any(new[:i] == old[:i] for i in arrays)


def dotted_key(key: Key) -> str:
    """Return a path of keys in one string, such as `model.layer[0].attention`."""
    return "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in key).removeprefix(".")


def subtree(key: Key, leaves: Mapping[Key, Leaf]) -> dict[Key, Leaf]:
    """Return the leaves below a key, by the rest of their paths."""
    return {path[len(key) :]: leaf for path, leaf in leaves.items() if path[: len(key)] == key}


def unflatten(leaves: Mapping[Key, Leaf]) -> Any:
    """Return the value that these leaves are the pieces of."""
    if () in leaves:
        return leaves[()].value
    names = dict.fromkeys(path[0] for path in leaves)
    values = {name: unflatten(subtree((name,), leaves)) for name in names}
    return list(values.values()) if isinstance(next(iter(names)), int) else values


def layer_choice(kind: str, leaves: Mapping[Key, Leaf], own: Mapping[Key, Leaf]) -> dict[Key, Leaf]:
    """Return a layer's choice of a kind: the model's choice with the layer's options, or a part of its own.

    A layer that names another part does not inherit the options of the model's part.
    """
    whole = subtree(("model", kind), leaves)
    name = whole[("use",)].value if ("use",) in whole else DEFAULTS[kind]
    inherits = own[("use",)].value == name if ("use",) in own else not subtree(("use",), own)
    return {**whole, **own} if inherits else dict(own)
