"""Checks one table of a recipe: its options against a signature, or the part that it chooses with its options."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gptkit.errors import Problem
from gptkit.nn import SoftmaxAttention
from gptkit.recipe.keys import DEFAULTS, FILE_KEYS, unknown
from gptkit.recipe.resolved import Auto, Choice
from gptkit.recipe.values import Key, Leaf, dotted_key, subtree, unflatten
from gptkit.registry.loader import Plugins
from gptkit.registry.registry import AUTO, Registry
from gptkit.registry.signature import REQUIRED, Option


@dataclass(frozen=True)
class Findings:
    """Collects what checking a recipe finds.

    Args:
        file: The recipe, which is named where an option is missing.
        places: Where each value was written, by dotted key.
    """

    file: str
    places: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, place: str, key: Key, message: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(place, dotted_key(key), message))


def check_options(
    key: Key,
    known: Mapping[str, Option],
    leaves: Mapping[Key, Leaf],
    found: Findings,
    *,
    beside: Iterable[str] = (),
    owner: str = "",
) -> dict[str, Any]:
    """Return the options in one table with their defaults filled in, without those that are wrong.

    Args:
        key: The table's own key.
        leaves: The values in the table, by their keys below it.
        beside: Other keys of the table, which are checked elsewhere.
        owner: The part whose options they are.
    """
    # A table's values have a name below its key; an empty table is a value itself.
    wrong = [leaf for path, leaf in leaves.items() if not (isinstance(path[0], str) if path else leaf.value == {})]
    if wrong:
        value = repr(leaves[()].value) if () in leaves else "an array of tables"
        found.add(wrong[0].place, key, f"takes a table, found {value}")
        return {}
    values: dict[str, Any] = {}
    names = dict.fromkeys(str(path[0]) for path in leaves if path)
    for name in (name for name in names if name not in beside):
        inside, own_key = subtree((name,), leaves), (*key, name)
        leaf = next(iter(inside.values()))
        if option := known.get(name):
            try:
                value = option.validate(unflatten(inside))
                # A relative path starts in the directory of the file that holds it.
                values[name] = (leaf.source.directory / value).absolute() if isinstance(value, Path) else value
                found.places[dotted_key(own_key)] = leaf.place
            except ValueError as error:
                found.add(leaf.place, own_key, str(error))
        else:
            near = [*known, *beside, *([] if key else FILE_KEYS)]
            found.add(leaf.place, own_key, unknown(name, known, near, owner))
    for option in (option for option in known.values() if option.name not in names):
        own_key = (*key, option.name)
        if option.default is REQUIRED:
            found.add(found.file, own_key, f"is missing: it takes {option}")
        else:
            values[option.name] = option.default
            found.places[dotted_key(own_key)] = "default"
    return {name: values[name] for name in known if name in values}


def choose_part(
    kind: str,
    key: Key,
    leaves: Mapping[Key, Leaf],
    *,
    found: Findings,
    plugins: Plugins,
    auto_names: Mapping[str, str],
) -> Choice | None:
    """Return the part that is chosen under a key; without problems it is not None.

    Args:
        leaves: The values below the key; none choose the default part.
        auto_names: The attention to take for `auto`, by dotted key; without one the choice stays `Auto`.
    """
    no_table = {path: leaf for path, leaf in leaves.items() if not path and leaf.value != {}}
    written = subtree(("use",), leaves) or no_table
    use = next(iter(written.values()), None)
    name = unflatten(written) if written else DEFAULTS[kind]
    dotted, where = dotted_key(key), use.place if use else found.file
    if not isinstance(name, str):
        example = f'takes a name, or a table such as {{ use = "{DEFAULTS[kind]}" }}'
        found.add(where, key, f"{example}, found {name!r}")
        return None
    if kind == "attention" and name == AUTO:
        if dotted not in auto_names:
            return choose_auto(key, leaves, found, plugins.registry)
        name = auto_names[dotted]
    try:
        entry = plugins.registry.get(kind, name)
    except LookupError as error:
        found.add(where, key, error.args[0] + plugins.failures())
        return None
    place = said.place if (said := use or leaves.get(())) else "default"
    found.places[f"{dotted}.use"] = place
    options = check_options(key, entry.options, leaves, found, beside=("use",), owner=name)
    return Choice(kind, name, options, dotted, place)


def choose_auto(key: Key, leaves: Mapping[Key, Leaf], found: Findings, registry: Registry) -> Auto | None:
    """Return the choice of `auto`; None if no attention that equals `naive` takes the options that are given."""
    dotted, place = dotted_key(key), leaves[("use",)].place
    entries = [entry for entry in registry.of("attention") if issubclass(entry.part, SoftmaxAttention)]
    candidates: list[Choice] = []
    refused: dict[str, str] = {}
    for entry in entries:
        own = Findings(found.file)
        options = check_options(key, entry.options, leaves, own, beside=("use",), owner=entry.name)
        if own.problems:
            refused[entry.name] = "; ".join(problem.message for problem in own.problems)
        else:
            candidates.append(Choice("attention", entry.name, options, dotted, place))
    names = dict.fromkeys(str(path[0]) for path in leaves if path and path[0] != "use")
    if candidates:
        found.places.update({dotted_key((*key, *path)): leaf.place for path, leaf in leaves.items() if path})
        given = {name: candidates[0].options[name] for name in names}
        return Auto("attention", AUTO, given, dotted, place, tuple(candidates), refused)
    # Either no attention takes one of the options, or some take each but none takes all.
    known = {
        name: option
        for entry in reversed(entries)
        for name, option in entry.options.items()
        if name in names or option.default is not REQUIRED
    }
    before = len(found.problems)
    check_options(key, known, leaves, found, beside=("use",), owner=AUTO)
    if len(found.problems) == before:
        each = "; ".join(f"{name}: {why}" for name, why in refused.items())
        message = f"no attention that equals 'naive' takes all of this: {each}"
        found.add(next(iter(leaves.values())).place, key, message)
    return None
