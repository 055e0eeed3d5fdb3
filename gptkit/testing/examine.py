"""Runs the checks of a plugin file and its parts one by one, even if third-party code hangs, prints or exits."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gptkit.errors import PluginError
from gptkit.registry.blame import format_error
from gptkit.registry.loader import Plugins, check_file, import_file
from gptkit.testing.check import Check
from gptkit.testing.guards import TookTooLong, at_most, listening
from gptkit.testing.outcome import Depth, Outcome
from gptkit.testing.processes import CAN_FORK, in_processes
from gptkit.testing.prove import prove
from gptkit.testing.subject import Subject, file_of
from gptkit.testing.targets import missing_options, subject_of

# Limit of CPU time for the import of a plugin file, and for one check. An input takes milliseconds, a compilation
# seconds.
SECONDS = 60.0
# A part that exceeds the limit again and again gets half as long each time, but no less than this share of it.
LEAST_SHARE = 1 / 16


@dataclass(frozen=True)
class Examined:
    """A plugin file or a part, and the outcomes of its checks; iterating over them runs the checks.

    Args:
        title: What it is, and where its source is.
    """

    title: str
    outcomes: Iterator[Outcome]


def outcomes(
    subject: Subject, checks: Sequence[Check], depth: Depth, case: str | None = None, processes: int = 1
) -> Iterator[Outcome]:
    """Yield the outcome of each check of a part; one that exceeds its time limit is not run.

    Args:
        case: One input, as JSON, instead of many random ones.
        processes: At most so many checks run at once, each in a process of its own.
    """
    share = 1.0

    def run(check: Check) -> Outcome:
        nonlocal share
        outcome = prove_in_time(check, subject, depth, case, share)
        if isinstance(outcome.error, TookTooLong):
            share = max(LEAST_SHARE, share / 2)
        return outcome

    # A context of CUDA cannot be forked.
    if processes > 1 and CAN_FORK and subject.device.type == "cpu":
        return in_processes(checks, run, processes)
    return map(run, checks)


def prove_in_time(check: Check, subject: Subject, depth: Depth, case: str | None, share: float) -> Outcome:
    """Return the outcome of a check, which was not run if it exceeds a share of the time limit."""
    file, began = file_of(subject.part), time.perf_counter()
    # More inputs than usual take longer.
    seconds = share * SECONDS * max(1.0, depth.inputs / Depth().inputs)
    try:
        with at_most(seconds, file), listening(file):
            return prove(check, subject, depth, case)
    except TookTooLong as error:
        taken = time.perf_counter() - began
        return Outcome(check.id, check.promise, "not run", str(error), 0, taken, error, is_core=check.is_core)


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
    loads = partial(Outcome, "loads", promise, inputs=1, is_law=False, is_core=True)
    began = time.perf_counter()
    with listening(str(file)) as heard:
        try:
            with at_most(SECONDS, str(file)):
                offered = plugins.offers(file.name, str(file), import_file(file))
        except TookTooLong as error:
            return [loads("not run", str(error), seconds=time.perf_counter() - began, error=error)], []
        except (Exception, SystemExit) as error:
            return [loads("broken", format_error(error), seconds=time.perf_counter() - began, error=error)], []
    found = [loads("held", seconds=time.perf_counter() - began)]
    if heard.first:
        text, line = heard.first
        why = f"it prints {text!r} when it is imported ({file}:{line})"
        promise = "importing the file prints nothing"
        found.append(Outcome("prints_nothing", promise, "broken", why, 1, is_law=False))
    return found, offered


def register(
    name: Any, part: Any, plugins: Plugins, file: Path, device: torch.device
) -> tuple[list[Outcome], Subject | None]:
    """Register one part of a plugin file; return the outcomes of that, and the part if it can be checked."""
    promise = f"{name!r} implements its interface, and its name is free"
    fits = partial(Outcome, "fits_its_interface", promise, inputs=1, is_law=False)
    try:
        (entry,) = plugins.registry.add_all([(name, part)], owner=file.name)
    except PluginError as error:
        return [fits("broken", format_error(error), error=error)], None
    if missing := missing_options(entry, {}):
        why = f"it needs {missing}: gptkit check {entry.name} --plugin {file} --set NAME=VALUE"
        built = Outcome("is_built", f"{name!r} needs no options", "not run", why, is_law=False, is_core=True)
        return [fits("held"), built], None
    return [fits("held")], subject_of(entry, {}, [file], device)
