"""The parts that a person names on the command line: by their name, or by a recipe that chose them."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gptkit.errors import UsageError, did_you_mean
from gptkit.recipe.check import assembler_of
from gptkit.recipe.read import override
from gptkit.recipe.resolved import Auto, Choice
from gptkit.recipe.values import spell
from gptkit.registry.loader import Plugins
from gptkit.registry.registry import Entry
from gptkit.registry.signature import REQUIRED
from gptkit.storage.trust import read_trusted
from gptkit.testing.subject import Subject


def parts_of_recipe(
    recipe: Path, plugins: Sequence[Path], device: torch.device, *, trust_plugins: bool
) -> list[Subject]:
    """Return the parts that a recipe chose, each with the options that it has there.

    Where it says `auto`, these are all that may be chosen.

    Raises:
        RecipeError: If the recipe is wrong.
        PluginError: If a plugin of it does not load.
        UsageError: If the recipe is a run directory's, which carries plugin files that nobody trusts.
    """
    written, found = read_trusted(recipe, (), plugins, trust_plugins=trust_plugins)
    resolved = assembler_of(written, found).resolved
    named = [*resolved.parts.values(), *(choice for layer in resolved.layers for choice in layer.values())]
    choices = [each for choice in named for each in (choice.candidates if isinstance(choice, Auto) else [choice])]
    chosen = {spelled(choice): choice for choice in choices}
    entries = {key: found.registry.get(choice.kind, choice.name) for key, choice in chosen.items()}
    return [
        subject_of(entry, given(entry, chosen[key].options), found.files, device) for key, entry in entries.items()
    ]


def spelled(choice: Choice) -> str:
    """Return what tells one choice from another, wherever it was written."""
    return repr((choice.kind, choice.name, sorted(choice.options.items())))


def given(entry: Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are not a part's own defaults."""
    return {name: value for name, value in options.items() if value != entry.options[name].default}


def parts_called(
    name: str, settings: Sequence[str], plugins: Sequence[Path], device: torch.device
) -> list[Subject]:
    """Return the parts of a name, one of each kind that has it.

    Args:
        settings: Options of the part, each as `--set` takes them: `window=8`.

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
    return [subject_of(entry, validated(entry, settings), found.files, device) for entry in entries]


def validated(entry: Entry, settings: Sequence[str]) -> dict[str, Any]:
    """Return options of a part that a person gave, checked as a recipe's are.

    Raises:
        UsageError: If one is wrong or missing.
    """
    options: dict[str, Any] = {}
    for text in settings:
        key, value, _ = override(text)
        name, known = spell(key), entry.options
        if name not in known:
            takes = ", ".join(map(str, known.values())) or "no options"
            raise UsageError(f"--set {text}: '{entry.name}' takes {takes}.{did_you_mean(name, known)}")
        try:
            options[name] = known[name].validate(value)
        except ValueError as error:
            raise UsageError(f"--set {text}: '{entry.name}' {error}") from None
    if missing := options_missing(entry, options):
        raise UsageError(f"'{entry.name}' needs {missing}: give it with --set NAME=VALUE")
    return options


def options_missing(entry: Entry, options: Mapping[str, Any]) -> str:
    """Return the options that a part cannot do without and was not given, or nothing."""
    needed = [option for option in entry.options.values() if option.default is REQUIRED]
    return ", ".join(str(option) for option in needed if option.name not in options)


def subject_of(entry: Entry, options: Mapping[str, Any], files: Sequence[Path], device: torch.device) -> Subject:
    """Return a registered part to check."""
    own = [f"--plugin {shlex.quote(str(file))}" for file in files if file.name == entry.owner]
    target = " ".join([entry.name, *own])
    return Subject(part=entry.part, options=options, name=entry.name, target=target, device=device)
