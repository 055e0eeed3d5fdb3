"""The registered parts, each with its name, its interface and the plugin that offers it."""

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gptkit.errors import PluginError, did_you_mean
from gptkit.interfaces import KINDS
from gptkit.registry.signature import Option, interface_errors, options

# Names no part. In a recipe it asks for the fastest attention, of those that equal `naive`.
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
        """The options that a recipe may give to this part, by name."""
        return options(self.part)

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return (inspect.getdoc(self.part) or "").partition("\n")[0]


class Registry:
    """The parts that a recipe can name."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        """Yield every part, sorted by the order of the interfaces, then by name."""
        order = list(KINDS)
        return iter(sorted(self._entries.values(), key=lambda entry: (order.index(entry.kind), entry.name)))

    def of(self, kind: str) -> list[Entry]:
        """Return the parts of a kind, sorted by name."""
        return [entry for entry in self if entry.kind == kind]

    def add_all(self, offered: Iterable[tuple[Any, Any]], *, owner: str) -> tuple[Entry, ...]:
        """Register the parts that a plugin offers by name, all of them or none, and return them.

        Raises:
            PluginError: If a class does not fit an interface, or a name is taken or reserved.
        """
        entries: dict[tuple[str, str], Entry] = {}
        for name, part in offered:
            kind = inherited_kind(part)
            if name == AUTO:
                raise PluginError(
                    f"{class_location(part)} is offered as '{AUTO}', which names no part: in a recipe it asks for "
                    "the attention that measures fastest. Choose another name"
                )
            if not isinstance(name, str) or not name:
                raise PluginError(
                    f"{class_location(part)} is offered as {name!r}: register(name, part) takes a name first"
                )
            if wrong := interface_errors(part, KINDS[kind]):
                raise PluginError(
                    f"{class_location(part)} does not fit {KINDS[kind].__name__}: {'; '.join(wrong)}"
                )
            if taken := (self._entries | entries).get((kind, name)):
                raise PluginError(f"{name_is_taken(taken)}, and {owner} offers {class_location(part)}. Rename one")
            entries[kind, name] = Entry(kind, name, part, owner)
        self._entries |= entries
        return tuple(entries.values())

    def get(self, kind: str, name: str) -> Entry:
        """Return a part.

        Raises:
            LookupError: If there is none; names the nearest and all of that kind.
        """
        if entry := self._entries.get((kind, name)):
            return entry
        known = [entry.name for entry in self.of(kind)]
        raise LookupError(
            f"no {KINDS[kind].__name__} is called '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}."
        )


def inherited_kind(part: Any) -> str:
    """Return the kind of the interface that a class inherits.

    Raises:
        PluginError: If it is no class, or does not inherit exactly one interface.
    """
    if not isinstance(part, type):
        raise PluginError(f"{part!r} is not a class: register(name, part) takes the class itself")
    kinds = [kind for kind, interface in KINDS.items() if issubclass(part, interface)]
    if len(kinds) != 1:
        interfaces = ", ".join(interface.__name__ for interface in KINDS.values())
        raise PluginError(f"{class_location(part)} inherits {len(kinds)} of the interfaces, not one: {interfaces}")
    return kinds[0]


def name_is_taken(entry: Entry) -> str:
    """Return the message for a name that an entry has already, without a full stop."""
    return f"the {entry.kind} name '{entry.name}' is taken: {entry.owner} offers {class_location(entry.part)}"


def class_location(part: type) -> str:
    """Return a class's name with the file and line that define it. Reads the whole file."""
    try:
        return f"{part.__name__} ({inspect.getsourcefile(part)}:{inspect.getsourcelines(part)[1]})"
    except (OSError, TypeError):
        return f"{part.__name__} ({part.__module__})"
