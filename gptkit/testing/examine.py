"""The contract of a plugin file and of parts, told check by check, whatever a stranger's code does."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gptkit.errors import PluginError, Problem, RecipeError
from gptkit.registry.blame import explain
from gptkit.registry.loader import Plugins, import_file, is_file
from gptkit.testing.check import Check
from gptkit.testing.guards import TookTooLong, at_most, listening
from gptkit.testing.outcome import Depth, Outcome
from gptkit.testing.prove import prove
from gptkit.testing.subject import Subject, file_of
from gptkit.testing.targets import options_missing, subject_of

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
