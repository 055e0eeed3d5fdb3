"""The parts that are named on the command line: by their name, or by a recipe that chooses them."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gptkit.errors import UsageError, did_you_mean
from gptkit.recipe.check import check_recipe
from gptkit.recipe.read import Recipe, override
from gptkit.recipe.resolved import Auto
from gptkit.recipe.values import dotted_key
from gptkit.registry.loader import Plugins
from gptkit.registry.registry import Entry
from gptkit.registry.signature import REQUIRED
from gptkit.testing.subject import Subject

CPU = torch.device("cpu")


def parts_of_recipe(recipe: Recipe, plugins: Plugins, device: torch.device) -> list[Subject]:
    """Return the parts that a recipe chooses, with their options; for `auto`, all that may be chosen.

    Raises:
        RecipeError: If the recipe is wrong.
    """
    resolved = check_recipe(recipe, plugins).resolved
    choices = [*resolved.parts.values(), *(choice for layer in resolved.layers for choice in layer.values())]
    subjects: dict[str, Subject] = {}
    for choice in choices:
        for each in choice.candidates if isinstance(choice, Auto) else [choice]:
            entry = plugins.registry.get(each.kind, each.name)
            options = {name: value for name, value in each.options.items() if value != entry.options[name].default}
            # Layers that choose the same part with the same options need one check.
            key = repr((each.kind, each.name, sorted(options.items())))
            subjects.setdefault(key, subject_of(entry, options, plugins.files, device))
    return list(subjects.values())


def parts_called(
    name: str, settings: Sequence[str], plugins: Sequence[Path], device: torch.device
) -> list[Subject]:
    """Return the parts of a name, at most one of each kind.

    Args:
        settings: Options of the part, as `--set` takes them: `window=8`.

    Raises:
        UsageError: If there is no such part, or an option is wrong or missing.
    """
    found = Plugins(plugins)
    entries = [entry for entry in found.registry if entry.name == name]
    if not entries:
        near = did_you_mean(name, [entry.name for entry in found.registry])
        raise UsageError(
            f"no part is called '{name}'.{near}{found.failures()} `gptkit components` lists them all."
        )
    return [subject_of(entry, read_settings(entry, settings), found.files, device) for entry in entries]


def read_settings(entry: Entry, settings: Sequence[str]) -> dict[str, Any]:
    """Return the options that `--set` gives to a part, checked as a recipe's are.

    Raises:
        UsageError: If one is wrong or missing.
    """
    options: dict[str, Any] = {}
    for text in settings:
        key, value, _ = override(text)
        name, known = dotted_key(key), entry.options
        if name not in known:
            takes = ", ".join(map(str, known.values())) or "no options"
            raise UsageError(f"--set {text}: '{entry.name}' takes {takes}.{did_you_mean(name, known)}")
        try:
            options[name] = known[name].validate(value)
        except ValueError as error:
            raise UsageError(f"--set {text}: '{entry.name}' {error}") from None
    if missing := missing_options(entry, options):
        raise UsageError(f"'{entry.name}' needs {missing}: give it with --set NAME=VALUE")
    return options


def missing_options(entry: Entry, options: Mapping[str, Any]) -> str:
    """Return the required options that are not given, separated by commas, or the empty string."""
    needed = [option for option in entry.options.values() if option.default is REQUIRED]
    return ", ".join(str(option) for option in needed if option.name not in options)


def subject_of(
    entry: Entry, options: Mapping[str, Any], files: Sequence[Path], device: torch.device = CPU
) -> Subject:
    """Return a registered part as a subject.

    Args:
        files: The plugin files in use, one of which may offer the part.
    """
    own = [f"--plugin {shlex.quote(str(file))}" for file in files if file.name == entry.owner]
    target = " ".join([entry.name, *own])
    return Subject(part=entry.part, options=options, name=entry.name, target=target, device=device)
