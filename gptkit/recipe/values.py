"""The values of a recipe, each by the path of keys that leads to it, with where it was written."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gptkit.recipe.keys import DEFAULTS, names_part
from gptkit.recipe.toml_lines import Key, key_lines, leaves


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


def flatten(value: Any, source: Source, *, under: Key = ()) -> dict[Key, Leaf]:
    """Return the values in a table by the path of keys that leads to them; `"sdpa"` becomes `use = "sdpa"`."""
    return {
        (*key, "use") if names_part(key) and isinstance(subtree, str) else key: Leaf(subtree, source, key)
        for key, subtree in leaves(value, under)
    }


def merge(under: dict[Key, Leaf], over: dict[Key, Leaf], *, inside: Key = ()) -> dict[Key, Leaf]:
    """Return the values of both; where both have one, that of `over`.

    Args:
        inside: The key that `over` was written for. An array of tables on the way to it is changed in one
            place; any other takes the place of an earlier one.
    """
    # An empty table says nothing where there is a table already.
    said = {key: leaf for key, leaf in over.items() if leaf.value != {} or not subtree(key, under)}
    return {key: leaf for key, leaf in under.items() if not any(replaces(new, key, inside) for new in said)} | said


def replaces(new: Key, old: Key, inside: Key) -> bool:
    """Return whether a new value takes the place of an old one, or of a table or array that the old is in."""
    shared = min(len(new), len(old))
    arrays = [i for i, name in enumerate(new) if isinstance(name, int) and i >= len(inside)]
    return new[:shared] == old[:shared] or any(new[:i] == old[:i] for i in arrays)


def spell(key: Key) -> str:
    """Return a path of keys as messages show it, such as `model.layer[0].attention`."""
    return "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in key).removeprefix(".")


def subtree(key: Key, leaves: Mapping[Key, Leaf]) -> dict[Key, Leaf]:
    """Return the leaves below a key, by the rest of their paths."""
    return {path[len(key) :]: leaf for path, leaf in leaves.items() if path[: len(key)] == key}


def unflatten(leaves: Mapping[Key, Leaf]) -> Any:
    """Return the value that the leaves below one key make up."""
    if () in leaves:
        return leaves[()].value
    names = dict.fromkeys(path[0] for path in leaves)
    values = {name: unflatten(subtree((name,), leaves)) for name in names}
    return list(values.values()) if isinstance(next(iter(names)), int) else values


def layer_choice(kind: str, leaves: Mapping[Key, Leaf], own: Mapping[Key, Leaf]) -> dict[Key, Leaf]:
    """Return what a layer chooses of a kind: the model's choice with the layer's options, or a part of its own.

    A layer that names another part starts afresh, because the options of the model's are not its own.
    """
    whole = subtree(("model", kind), leaves)
    if not subtree(("use",), own):
        return {**whole, **own}
    names = [table[("use",)].value if ("use",) in table else DEFAULTS[kind] for table in (whole, own)]
    return {**whole, **own} if ("use",) in own and names[0] == names[1] else dict(own)


def is_table_path(path: Key, leaf: Leaf) -> bool:
    """Return whether a leaf at this path below a key leaves the key a table."""
    return isinstance(path[0], str) if path else leaf.value == {}
