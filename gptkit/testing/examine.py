"""Runs the checks of a plugin file and its parts one by one, even if third-party code hangs, prints or exits."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gptkit.errors import PluginError
from gptkit.registry.blame import format_error
from gptkit.registry.loader import Plugins, check_file, import_file
from gptkit.testing.check import Check
from gptkit.testing.guards import TookTooLong, at_most, listening
from gptkit.testing.outcome import Depth, Outcome
from gptkit.testing.prove import prove
from gptkit.testing.subject import Subject, file_of
from gptkit.testing.targets import missing_options, subject_of

# Limit for the import of a plugin file, and for one check. An input takes milliseconds, a compilation seconds.
SECONDS = 60.0


@dataclass(frozen=True)
class Examined:
    """A plugin file or a part, and the outcomes of its checks; iterating over them runs the checks.

    Args:
        title: What it is, and where its source is.
    """

    title: str
    outcomes: Iterator[Outcome]


def outcomes(
    subject: Subject, checks: Sequence[Check], depth: Depth, case: str | None = None
) -> Iterator[Outcome]:
    """Yield the outcome of each check of a part; once a check hangs, the others are not run.

    Args:
        case: One input, as JSON, instead of many random ones.
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
    """Return the outcome of a check, which is "broken" once it exceeds its time limit."""
    file, began = file_of(subject.part), time.perf_counter()
    # More inputs than usual take longer.
    seconds = SECONDS * max(1.0, depth.inputs / Depth().inputs)
    try:
        with at_most(seconds, file), listening(file):
            return prove(check, subject, depth, case)
    except TookTooLong as error:
        return Outcome(check.id, check.promise, "broken", str(error), 0, time.perf_counter() - began, error)


def parts_of_file(file: Path, device: torch.device) -> tuple[Examined, list[Subject]]:
    """Load a plugin file; return the outcomes of that, and the parts that can be checked.

    Whatever is wrong with the file or one of its parts is an outcome, and does not keep the other parts from being
    checked.

    Raises:
        RecipeError: If there is no such file.
    """
    check_file(file)
    file = file.resolve()
    plugins = Plugins()
    found, offered = import_plugin(file, plugins)
    subjects = []
    for name, part in offered:
        made, subject = register(name, part, plugins, file, device)
        found += made
        subjects += [subject] if subject else []
    return Examined(f"plugin {file}", iter(found)), subjects


def import_plugin(file: Path, plugins: Plugins) -> tuple[list[Outcome], list[tuple[Any, Any]]]:
    """Import a plugin file; return the outcomes of that, and the names and parts that it offers."""
    promise = "the file can be imported within a minute, and offers parts"
    began = time.perf_counter()
    with listening(str(file)) as heard:
        try:
            with at_most(SECONDS, str(file)):
                offered = plugins.offers(file.name, str(file), import_file(file))
        except (Exception, SystemExit, TookTooLong) as error:
            why = str(error) if isinstance(error, TookTooLong) else format_error(error)
            return [Outcome("loads", promise, "broken", why, 1, time.perf_counter() - began, error)], []
    found = [Outcome("loads", promise, "held", "", 1, time.perf_counter() - began)]
    if heard.first:
        text, line = heard.first
        why = f"it prints {text!r} when it is imported ({file}:{line})"
        found.append(Outcome("prints_nothing", "importing the file prints nothing", "broken", why, 1))
    return found, offered


def register(
    name: Any, part: Any, plugins: Plugins, file: Path, device: torch.device
) -> tuple[list[Outcome], Subject | None]:
    """Register one part of a plugin file; return the outcomes of that, and the part if it can be checked."""
    id, promise = "fits_its_interface", f"{name!r} implements its interface, and its name is free"
    try:
        (entry,) = plugins.registry.add_all([(name, part)], owner=file.name)
    except PluginError as error:
        return [Outcome(id, promise, "broken", format_error(error), 1, 0.0, error)], None
    fits = Outcome(id, promise, "held", "", 1)
    if missing := missing_options(entry, {}):
        why = f"it needs {missing}: gptkit check {entry.name} --plugin {file} --set NAME=VALUE"
        return [fits, Outcome("is_built", f"{name!r} needs no options", "not run", why)], None
    return [fits], subject_of(entry, {}, [file], device)
