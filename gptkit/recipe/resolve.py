"""Checks a recipe against the parts there are, and fills in what it leaves unsaid."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from gptkit.errors import Problem, RecipeError
from gptkit.interfaces import Dims
from gptkit.nn import SoftmaxAttention
from gptkit.recipe.keys import AT, DEFAULTS, FILE_KEYS, KEYS, LAYER_SLOTS, SLOTS, unknown
from gptkit.recipe.read import Recipe
from gptkit.recipe.resolved import Auto, Choice, Resolved
from gptkit.recipe.toml_lines import Key
from gptkit.recipe.train_settings import TrainSettings
from gptkit.recipe.values import Leaf, is_table_path, layer_choice, spell, subtree, unflatten
from gptkit.registry.loader import Plugins
from gptkit.registry.registry import AUTO, Entry
from gptkit.registry.signature import REQUIRED, Option


def resolve(recipe: Recipe, plugins: Plugins, settled: Mapping[str, str] | None = None) -> Resolved:
    """Check a recipe and fill in its defaults.

    Args:
        settled: The name that takes the place of `auto`, for each key where that was settled.

    Raises:
        RecipeError: With everything that is wrong in it.
    """
    return Resolver(recipe, plugins, settled or {}).resolve()


class Resolver:
    """One pass over one recipe, which collects what is wrong and where each value was written."""

    def __init__(self, recipe: Recipe, plugins: Plugins, settled: Mapping[str, str]) -> None:
        self.recipe, self.plugins, self.settled = recipe, plugins, settled
        self.problems: list[Problem] = []
        self.places: dict[str, str] = {}

    def resolve(self) -> Resolved:
        """Return the resolved recipe."""
        self.table((), {}, subtree((), self.recipe.leaves), beside=SLOTS)
        values = {section: self.section(section) for section in SLOTS}
        chosen = {
            kind: self.part(kind, (section, kind), subtree((section, kind), self.recipe.leaves))
            for section, kinds in SLOTS.items()
            for kind in kinds
        }
        overrides = self.overrides(values["model"].get("n_layer"))
        self.check_sizes(values["model"])
        if self.problems:
            raise RecipeError(self.problems)
        parts = {kind: choice for kind, choice in chosen.items() if choice}
        layers = [{kind: parts[kind] for kind in LAYER_SLOTS} for _ in range(values["model"]["n_layer"])]
        for at, choices in overrides:
            for i in at:
                layers[i] |= choices
        document: dict[str, Any] = {
            section: to_jsonable_python(values[section]) | {kind: parts[kind].table() for kind in kinds}
            for section, kinds in SLOTS.items()
        }
        if overrides:
            document["model"]["layer"] = [
                {"at": at} | {kind: choice.table() for kind, choice in choices.items()}
                for at, choices in overrides
            ]
        return Resolved(
            name=self.recipe.path.stem,
            text=self.recipe.text,
            sizes=values["model"],
            parts=parts,
            layers=tuple(layers),
            train=TrainSettings(**values["train"]),
            document=document,
            places=self.places,
        )

    def section(self, name: str) -> dict[str, Any]:
        """Return the values of a section that are no parts."""
        beside = (*SLOTS[name], "layer") if name == "model" else SLOTS[name]
        return self.table((name,), KEYS[name], subtree((name,), self.recipe.leaves), beside=beside)

    def table(
        self,
        key: Key,
        known: Mapping[str, Option],
        leaves: Mapping[Key, Leaf],
        *,
        beside: Iterable[str] = (),
        owner: str = "",
    ) -> dict[str, Any]:
        """Return the value of each option that a table may hold, checked, or its default.

        Args:
            leaves: The values in the table, by their keys below it.
            beside: Other keys of the table, which are checked elsewhere.
            owner: The part whose options they are.
        """
        if wrong := next((leaf for path, leaf in leaves.items() if not is_table_path(path, leaf)), None):
            found = repr(leaves[()].value) if () in leaves else "an array of tables"
            self.problem(key, f"takes a table, found {found}", wrong)
            return {}
        values: dict[str, Any] = {}
        names = dict.fromkeys(path[0] for path in leaves if path)
        for name in (name for name in names if str(name) not in beside):
            inside = subtree((name,), leaves)
            leaf = next(iter(inside.values()))
            if option := known.get(str(name)):
                try:
                    values[option.name] = anchor(option.validate(unflatten(inside)), leaf.source.directory)
                    self.places[spell((*key, name))] = leaf.place
                except ValueError as error:
                    self.problem((*key, name), str(error), leaf)
            else:
                self.problem(
                    (*key, name),
                    unknown(str(name), known, [*known, *beside, *([] if key else FILE_KEYS)], owner),
                    leaf,
                )
        for option in known.values():
            if option.name not in names:
                if option.default is REQUIRED:
                    self.problem((*key, option.name), f"is missing: it takes {option}")
                else:
                    self.places[spell((*key, option.name))] = "default"
                    values[option.name] = option.default
        return {name: values[name] for name in known if name in values}

    def part(self, kind: str, key: Key, leaves: Mapping[Key, Leaf]) -> Choice | None:
        """Return the part that is chosen under a key, or None if something is wrong with the choice."""
        before = len(self.problems)
        no_table = {path: leaf for path, leaf in leaves.items() if not path and leaf.value != {}}
        written = subtree(("use",), leaves) or no_table
        use = next(iter(written.values()), None)
        name = unflatten(written) if written else DEFAULTS[kind]
        if not isinstance(name, str):
            example = f'takes a name, or a table such as {{ use = "{DEFAULTS[kind]}" }}'
            self.problem(key, f"{example}, found {name!r}", use)
            return None
        if kind == "attention" and name == AUTO:
            if spell(key) not in self.settled:
                return self.auto(key, leaves, use)
            name = self.settled[spell(key)]
        try:
            entry = self.plugins.registry.get(kind, name)
        except LookupError as error:
            self.problem(key, error.args[0] + self.plugins.failures(), use)
            return None
        place = self.places[spell((*key, "use"))] = said.place if (said := use or leaves.get(())) else "default"
        given = self.table(key, entry.options, leaves, beside=("use",), owner=name)
        return Choice(kind, name, given, spell(key), place) if len(self.problems) == before else None

    def auto(self, key: Key, leaves: Mapping[Key, Leaf], use: Leaf | None) -> Auto | None:
        """Return the choice of `auto` under a key, or None if no attention takes the options given there."""
        place = self.places[spell((*key, "use"))] = use.place if use else "default"
        rivals = [e for e in self.plugins.registry.of("attention") if issubclass(e.part, SoftmaxAttention)]
        candidates: list[Choice] = []
        refused: dict[str, str] = {}
        for entry in rivals:
            # On a sheet of its own, because what one of them lacks is no problem of the recipe's.
            sheet = Resolver(self.recipe, self.plugins, {})
            given = sheet.table(key, entry.options, leaves, beside=("use",), owner=entry.name)
            if sheet.problems:
                refused[entry.name] = "; ".join(problem.message for problem in sheet.problems)
            else:
                candidates.append(Choice("attention", entry.name, given, spell(key), place))
        names = [str(path[0]) for path in leaves if path and path[0] != "use"]
        if not candidates:
            self.lacking(key, leaves, names, refused, rivals)
            return None
        self.places |= {
            spell((*key, *path)): leaf.place for path, leaf in leaves.items() if path and path[0] != "use"
        }
        given = {name: candidates[0].options[name] for name in dict.fromkeys(names)}
        return Auto("attention", AUTO, given, spell(key), place, tuple(candidates), refused)

    def lacking(
        self,
        key: Key,
        leaves: Mapping[Key, Leaf],
        names: Sequence[str],
        refused: Mapping[str, str],
        rivals: Sequence[Entry],
    ) -> None:
        """Note which options of `auto` no attention takes or, where each is taken by some, that none takes all."""
        before = len(self.problems)
        known = {
            name: option
            for entry in reversed(rivals)
            for name, option in entry.options.items()
            if name in names or option.default is not REQUIRED
        }
        self.table(key, known, leaves, beside=("use",), owner=AUTO)
        if len(self.problems) == before:
            each = "; ".join(f"{name}: {why}" for name, why in refused.items())
            self.problem(
                key,
                f"no attention that equals 'naive' takes all of this: {each}",
                next(iter(leaves.values()), None),
            )

    def overrides(self, n_layer: int | None) -> list[tuple[list[int], dict[str, Choice]]]:
        """Return what each `[[model.layer]]` chooses, with the layers that it is for."""
        found: list[tuple[list[int], dict[str, Choice]]] = []
        taken: set[tuple[int, str]] = set()
        leaves = subtree(("model", "layer"), self.recipe.leaves)
        stray = [leaf for path, leaf in leaves.items() if not path or isinstance(path[0], str)]
        if stray and stray[0].value != []:
            self.problem(("model", "layer"), "takes tables, each headed [[model.layer]]", stray[0])
            return []
        for n in dict.fromkeys(path[0] for path in leaves if path):
            key: Key = ("model", "layer", n)
            own = subtree((n,), leaves)
            at = list(dict.fromkeys(self.table(key, {"at": AT}, own, beside=LAYER_SLOTS).get("at", ())))
            for i in at:
                if n_layer is not None and not 0 <= i < n_layer:
                    message = f"there is no layer {i}: with n_layer = {n_layer} they are 0 to {n_layer - 1}"
                    self.problem((*key, "at"), message, own.get(("at",)))
            choices: dict[str, Choice] = {}
            for kind in (kind for kind in LAYER_SLOTS if subtree((kind,), own)):
                chosen = layer_choice(kind, self.recipe.leaves, subtree((kind,), own))
                if choice := self.part(kind, (*key, kind), chosen):
                    choices[kind] = choice
                for i in at:
                    if (i, kind) in taken:
                        message = f"an earlier [[model.layer]] chose the {kind} of layer {i}"
                        self.problem((*key, kind), message, next(iter(subtree((kind,), own).values())))
                    taken.add((i, kind))
            found.append((at, choices))
        return found

    def check_sizes(self, sizes: Mapping[str, Any]) -> None:
        """Note what is wrong with the sizes taken together."""
        if sizes.keys() >= {"n_layer", "n_head", "n_embd", "block_size", "dropout"}:
            try:
                Dims(**sizes, vocab_size=1)
            except ValueError as error:
                self.problem(("model", "n_embd"), str(error), self.recipe.leaves.get(("model", "n_embd")))

    def problem(self, key: Key, message: str, leaf: Leaf | None = None) -> None:
        """Note a problem, at the place of a leaf or else of the recipe."""
        self.problems.append(Problem(leaf.place if leaf else str(self.recipe.path), spell(key), message))


def anchor(value: Any, directory: Path) -> Any:
    """Return a relative path as one that starts in a directory, and anything else as it is."""
    return (directory / value).absolute() if isinstance(value, Path) else value
