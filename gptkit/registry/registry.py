"""The parts by name: each with the interface it stands behind and the plugin it came from."""

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gptkit.errors import PluginError, did_you_mean
from gptkit.interfaces import KINDS
from gptkit.registry.signature import Option, interface_errors, options

# In a recipe no part's name: the attention that measures fastest, of those that equal `naive`.
AUTO = "auto"
AUTO_SUMMARY = (
    "The one that trains fastest on this machine, of those that equal `naive`; timed before the first step."
)


@dataclass(frozen=True)
class Entry:
    """A registered part."""

    kind: str
    name: str
    part: type
    owner: str

    @property
    def options(self) -> dict[str, Option]:
        """What a recipe may say of this part."""
        return options(self.part)

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return (inspect.getdoc(self.part) or "").partition("\n")[0]


class Registry:
    """Every part that can be named in a recipe."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        """Yield every part: the kinds in the order of the interfaces, the names in that of the alphabet."""
        order = list(KINDS)
        return iter(sorted(self._entries.values(), key=lambda entry: (order.index(entry.kind), entry.name)))

    def of(self, kind: str) -> list[Entry]:
        """Return the parts of a kind, in the order of their names."""
        return [entry for entry in self if entry.kind == kind]

    def add_all(self, offered: Iterable[tuple[Any, Any]], *, owner: str) -> tuple[Entry, ...]:
        """Register the parts that a plugin offers by name, all of them or none, and return them.

        Raises:
            PluginError: If a class does not fit an interface, or a name is taken or means something else.
        """
        entries: dict[tuple[str, str], Entry] = {}
        for name, part in offered:
            kind = kind_of(part)
            if name == AUTO:
                raise PluginError(
                    f"{describe(part)} is offered as '{AUTO}', which names no part: in a recipe it asks for the "
                    "attention that measures fastest. Choose another name"
                )
            if not isinstance(name, str) or not name:
                raise PluginError(
                    f"{describe(part)} is offered as {name!r}: register(name, part) takes a name first"
                )
            entry = Entry(kind, name, part, owner)
            if wrong := interface_errors(part, KINDS[entry.kind]):
                interface = KINDS[entry.kind].__name__
                raise PluginError(f"{describe(part)} does not fit {interface}: {'; '.join(wrong)}")
            if taken := (self._entries | entries).get((entry.kind, name)):
                raise PluginError(
                    f"the {entry.kind} name '{name}' is taken: {taken.owner} offers {describe(taken.part)}, and "
                    f"{owner} offers {describe(part)}. Rename one"
                )
            entries[entry.kind, name] = entry
        self._entries |= entries
        return tuple(entries.values())

    def get(self, kind: str, name: str) -> Entry:
        """Return a part.

        Raises:
            LookupError: If nobody offers it; names the nearest and all that are offered.
        """
        if entry := self._entries.get((kind, name)):
            return entry
        known = [entry.name for entry in self.of(kind)]
        raise LookupError(
            f"no {KINDS[kind].__name__} is called '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}."
        )


def kind_of(part: Any) -> str:
    """Return the kind whose interface a class inherits."""
    if not isinstance(part, type):
        raise PluginError(f"{part!r} is not a class: register(name, part) takes the class itself")
    kinds = [kind for kind, interface in KINDS.items() if issubclass(part, interface)]
    if len(kinds) != 1:
        interfaces = ", ".join(interface.__name__ for interface in KINDS.values())
        raise PluginError(f"{describe(part)} inherits {len(kinds)} of the interfaces, not one: {interfaces}")
    return kinds[0]


def describe(part: type) -> str:
    """Return a class's name with the file and line where it stands."""
    try:
        return f"{part.__name__} ({inspect.getsourcefile(part)}:{inspect.getsourcelines(part)[1]})"
    except (OSError, TypeError):
        return f"{part.__name__} ({part.__module__})"
