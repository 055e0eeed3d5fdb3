"""Checks a recipe against the registered parts and fills in its defaults."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic_core import to_jsonable_python

from gptkit.errors import RecipeError
from gptkit.interfaces import Dims
from gptkit.recipe.check_table import Findings, check_options, choose_part
from gptkit.recipe.keys import AT, KEYS, LAYER_SLOTS, SLOTS
from gptkit.recipe.read import Recipe
from gptkit.recipe.resolved import Choice, Resolved
from gptkit.recipe.train_settings import TrainSettings
from gptkit.recipe.values import Key, Leaf, layer_choice, subtree
from gptkit.registry.loader import Plugins

# One `[[model.layer]]`: its layers, counted from 0, and the part of each kind that it chooses for them.
LayerTable = tuple[list[int], dict[str, Choice]]
Choose = Callable[[str, Key, Mapping[Key, Leaf]], Choice | None]


def resolve(recipe: Recipe, plugins: Plugins, auto_names: Mapping[str, str] | None = None) -> Resolved:
    """Check a recipe and fill in its defaults.

    Args:
        auto_names: The attention to take for `auto`, by dotted key; without one the choice stays `Auto`.

    Raises:
        RecipeError: With everything that is wrong in it.
    """
    leaves, found = recipe.leaves, Findings(str(recipe.path))
    choose = partial(choose_part, found=found, plugins=plugins, auto_names=auto_names or {})
    check_options((), {}, leaves, found, beside=SLOTS)
    values = {}
    for section, kinds in SLOTS.items():
        beside = (*kinds, "layer") if section == "model" else kinds
        inside = subtree((section,), leaves)
        values[section] = check_options((section,), KEYS[section], inside, found, beside=beside)
    chosen = {
        kind: choose(kind, (section, kind), subtree((section, kind), leaves))
        for section, kinds in SLOTS.items()
        for kind in kinds
    }
    overrides = check_layers(leaves, values["model"].get("n_layer"), found, choose)
    check_sizes(recipe, values["model"], found)
    if found.problems:
        raise RecipeError(found.problems)
    parts = {kind: choice for kind, choice in chosen.items() if choice}
    layers = [{kind: parts[kind] for kind in LAYER_SLOTS} for _ in range(values["model"]["n_layer"])]
    for at, choices in overrides:
        for i in at:
            layers[i] |= choices
    return Resolved(
        name=recipe.path.stem,
        text=recipe.text,
        sizes=values["model"],
        parts=parts,
        layers=tuple(layers),
        train=TrainSettings(**values["train"]),
        document=document(values, parts, overrides),
        places=found.places,
    )


def check_layers(
    leaves: Mapping[Key, Leaf], n_layer: int | None, found: Findings, choose: Choose
) -> list[LayerTable]:
    """Return what every `[[model.layer]]` chooses.

    Args:
        leaves: The values of the whole recipe.
        n_layer: None if it is wrong itself.
    """
    below = subtree(("model", "layer"), leaves)
    stray = [leaf for path, leaf in below.items() if not path or isinstance(path[0], str)]
    if stray and stray[0].value != []:
        found.add(stray[0].place, ("model", "layer"), "takes tables, each headed [[model.layer]]")
        return []
    tables: list[LayerTable] = []
    taken: set[tuple[int, str]] = set()
    for n in dict.fromkeys(path[0] for path in below if path):
        own, key = subtree((n,), below), ("model", "layer", n)
        options = check_options(key, {"at": AT}, own, found, beside=LAYER_SLOTS)
        at: list[int] = list(dict.fromkeys(options.get("at", ())))
        for i in at:
            if n_layer is not None and not 0 <= i < n_layer:
                message = f"there is no layer {i}: with n_layer = {n_layer} they are 0 to {n_layer - 1}"
                found.add(own[("at",)].place, (*key, "at"), message)
        choices: dict[str, Choice] = {}
        for kind in LAYER_SLOTS:
            inside = subtree((kind,), own)
            if not inside:
                continue
            if part := choose(kind, (*key, kind), layer_choice(kind, leaves, inside)):
                choices[kind] = part
            for i in at:
                if (i, kind) in taken:
                    message = f"an earlier [[model.layer]] chose the {kind} of layer {i}"
                    found.add(next(iter(inside.values())).place, (*key, kind), message)
                taken.add((i, kind))
        tables.append((at, choices))
    return tables


def check_sizes(recipe: Recipe, sizes: Mapping[str, Any], found: Findings) -> None:
    """Add the problem of sizes that do not fit together, once each is valid by itself."""
    if sizes.keys() == KEYS["model"].keys():
        try:
            Dims(**sizes, vocab_size=1)
        except ValueError as error:
            leaf = recipe.leaves.get(("model", "n_embd"))
            found.add(leaf.place if leaf else found.file, ("model", "n_embd"), str(error))


def document(
    values: Mapping[str, Mapping[str, Any]], parts: Mapping[str, Choice], overrides: Sequence[LayerTable]
) -> dict[str, Any]:
    """Return the whole recipe in TOML's types, with nothing left to a base, an override or a default."""
    sections: dict[str, Any] = {
        section: to_jsonable_python(values[section]) | {kind: parts[kind].table() for kind in kinds}
        for section, kinds in SLOTS.items()
    }
    if overrides:
        sections["model"]["layer"] = [
            {"at": at} | {kind: choice.table() for kind, choice in choices.items()} for at, choices in overrides
        ]
    return sections
