"""Tries a check on a part and returns the outcome."""

import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis.errors import Flaky

from gptkit.errors import UsageError
from gptkit.testing.case import Case
from gptkit.testing.check import LEVELS, Check
from gptkit.testing.checks import CHECKS
from gptkit.testing.outcome import ORDINARY, Depth, DoesNotApply, NotHere, Outcome, Refusal, Verdict
from gptkit.testing.subject import Subject, file_of
from gptkit.testing.tolerances import tolerance_of
from gptkit.testing.trial import Trial


def prove(check: Check, subject: Subject, depth: Depth = ORDINARY, case: str | None = None) -> Outcome:
    """Return the outcome of a check on a part.

    Args:
        case: One input, as JSON, instead of many random ones.

    Raises:
        UsageError: If that is not an input of the check.
    """
    if reason := check.why_not_applicable(subject):
        return Outcome(check.id, check.promise, "not applicable", reason, is_core=check.is_core)
    given_case = None if case is None else read_case(check, case, subject)
    began, trial = time.perf_counter(), Trial(check, subject)
    verdict: Verdict = "held"
    failure: Exception | None = None
    why = cause = ""
    try:
        if given_case is None:
            trial.search(depth)
        else:
            trial.run(given_case)
        if refused := trial.refused_throughout():
            verdict, why = "not run", refused
    except (NotHere, Refusal) as error:
        verdict, why, failure = "not run", error.reason, error
    except DoesNotApply as error:
        verdict, why = "not applicable", error.reason
    except Exception as error:
        verdict, why, failure = "broken", report(trial, error), error
        place = "".join(where(error, subject))
        cause = f"{type(error).__name__} {place}" if place and not is_raised_by_a_law(error) else ""
    seconds = time.perf_counter() - began
    return Outcome(
        check.id,
        check.promise,
        verdict,
        why,
        trial.count,
        seconds,
        failure,
        len(trial.refusals),
        is_core=check.is_core,
        tolerance=tolerance_of(check, subject),
        cause=cause,
    )


def read_case(check: Check, text: str, subject: Subject) -> Any:
    """Return the input that a JSON text describes, on the subject's device."""
    try:
        case = check.case.from_json(text)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"--case {text}: {error}") from error
    return replace(case, device=subject.device) if isinstance(case, Case) else case


def report(trial: Trial, error: Exception) -> str:
    """Return what is broken, where, on which input, and how to reproduce it."""
    if isinstance(error, Flaky):
        told = "it fails only sometimes on the same input"
    elif isinstance(error, AssertionError):
        told = str(error)
    else:
        told = f"{type(error).__name__}: {error}"
    lines = [told, *where(error, trial.subject)]
    if trial.failing is not None:
        if not is_raised_by_a_law(error):
            lines.append(f"on {trial.failing}")
        lines.append(f"to reproduce: {trial.subject.reproducer(trial.check.id, trial.failing.to_json())}")
    return "\n".join(lines)


def is_raised_by_a_law(error: BaseException) -> bool:
    """Return whether a law raised the error itself; its message names the input."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, AssertionError) and Path(__file__).parent in Path(frames[-1].filename).parents


def where(error: BaseException, subject: Subject) -> Iterator[str]:
    """Yield the line of the part's own file in which the error was raised, if there is one."""
    file = file_of(subject.part)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if lines:
        yield f"raised at {file}:{lines[-1]}"


def checks_of(subject: Subject, level: str = LEVELS[-1]) -> list[Check]:
    """Return the checks of the subject's kind, up to a level of the contract.

    Raises:
        UsageError: If there is no such level.
    """
    if level not in LEVELS:
        raise UsageError(f"the contract has no level {level!r}. Known: {', '.join(LEVELS)}")
    return [check for check in CHECKS if check.concerns(subject) and int(check.level) <= int(level)]
