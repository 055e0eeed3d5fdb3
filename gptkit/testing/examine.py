"""The contract of everything that a person names: a part, a plugin file, or the parts of a recipe."""

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gptkit.assemble import assembler_of
from gptkit.errors import PluginError, Problem, RecipeError, UsageError, did_you_mean
from gptkit.leaves import spell
from gptkit.plugins import Plugins, explain, import_file, is_file
from gptkit.recipe import override, read
from gptkit.registry import Entry
from gptkit.resolved import Choice
from gptkit.signature import REQUIRED
from gptkit.testing.check import Check
from gptkit.testing.guards import TookTooLong, at_most, listening
from gptkit.testing.prove import Depth, Outcome, prove
from gptkit.testing.subject import Subject, file_of

# Of a plugin file's import, and of one check. An input takes milliseconds, a compilation seconds.
SECONDS = 60.0


@dataclass(frozen=True)
class Examined:
    """One thing under examination, and what comes of each check as it is made.

    Args:
        title: What it is, and where it was written.
    """

    title: str
    outcomes: Iterator[Outcome]


def outcomes(
    subject: Subject, checks: Sequence[Check], depth: Depth, case: str | None = None
) -> Iterator[Outcome]:
    """Yield what comes of each check of a part; once one hangs, the others are not run.

    Args:
        case: One input, as JSON, in the place of many random ones.
    """
    stuck = ""
    for check in checks:
        if stuck:
            yield Outcome(check.id, check.promise, "not run", f"{stuck} took too long")
            continue
        outcome = prove_in_time(check, subject, depth, case)
        stuck = check.id if isinstance(outcome.error, TookTooLong) else ""
        yield outcome


def prove_in_time(check: Check, subject: Subject, depth: Depth, case: str | None) -> Outcome:
    """Try a check on a part, for as long as it may take."""
    file, began = file_of(subject.part), time.perf_counter()
    # The deeper, the longer.
    seconds = SECONDS * max(1.0, depth.inputs / Depth().inputs)
    try:
        with at_most(seconds, file), listening(file):
            return prove(check, subject, depth, case)
    except TookTooLong as error:
        return Outcome(check.id, check.promise, "broken", str(error), 0, time.perf_counter() - began, error)


def parts_of_file(file: Path, device: torch.device) -> tuple[Examined, list[Subject]]:
    """Return what came of loading a plugin file, and the parts that it offers and that fit.

    A part that does not fit, and whatever else the file does wrong, is an outcome: the other parts' stand.
    """
    if not is_file(file):
        raise RecipeError([Problem(str(file), "plugins", "no such plugin file")])
    file = file.resolve()
    found, subjects = loaded(file, device)
    return Examined(f"plugin {file}", iter(found)), subjects


def loaded(file: Path, device: torch.device) -> tuple[list[Outcome], list[Subject]]:
    """Return the outcomes of loading a plugin file, and the parts that fit."""
    plugins = Plugins()
    promise = "the file can be imported, within a minute, and offers parts"
    began = time.perf_counter()
    with listening(str(file)) as heard:
        try:
            with at_most(SECONDS, str(file)):
                offered = plugins.offers(file.name, str(file), import_file(file))
        except (Exception, SystemExit, TookTooLong) as error:
            why = str(error) if isinstance(error, TookTooLong) else explain(error)
            return [Outcome("loads", promise, "broken", why, 1, time.perf_counter() - began, error)], []
    found = [Outcome("loads", promise, "held", "", 1, time.perf_counter() - began)]
    if heard.first:
        text, line = heard.first
        why = f"it prints {text!r} when it is imported ({file}:{line})"
        found.append(Outcome("prints_nothing", "importing the file prints nothing", "broken", why, 1))
    subjects = []
    for name, part in offered:
        promise = f"{name!r} fits its interface, and its name is free"
        try:
            (entry,) = plugins.registry.add_all([(name, part)], owner=file.name)
        except PluginError as error:
            found.append(Outcome("fits_its_interface", promise, "broken", explain(error), 1, 0.0, error))
        else:
            found.append(Outcome("fits_its_interface", promise, "held", "", 1))
            if missing := options_missing(entry, {}):
                why = f"it needs {missing}: gptkit check {entry.name} --plugin {file} --set NAME=VALUE"
                found.append(Outcome("is_built", f"{name!r} needs no options", "not run", why))
            else:
                subjects.append(subject_of(entry, {}, [file], device))
    return found, subjects


def parts_of_recipe(recipe: Path, plugins: Sequence[Path], device: torch.device) -> list[Subject]:
    """Return the parts that a recipe chose, each with the options that it has there.

    Raises:
        RecipeError: If the recipe is wrong.
        PluginError: If a plugin of it does not load.
    """
    written = read(recipe)
    found = Plugins([*written.plugins, *plugins])
    resolved = assembler_of(written, found).resolved
    choices = [*resolved.parts.values(), *(choice for layer in resolved.layers for choice in layer.values())]
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
