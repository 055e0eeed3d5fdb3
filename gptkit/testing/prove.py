"""Tries a check on a part and returns the outcome."""

import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import SkipTest

import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, reject, seed, settings
from hypothesis.errors import Flaky, Unsatisfiable

from gptkit.errors import UsageError
from gptkit.testing.case import Case
from gptkit.testing.check import LEVELS, Check
from gptkit.testing.checks import CHECKS
from gptkit.testing.outcome import ORDINARY, Depth, DoesNotApply, NotHere, Outcome, Refusal, Verdict
from gptkit.testing.subject import Subject, file_of, missing_accelerator

# Inputs that a part accepts and a law does not apply to, before it is said to apply to none. Hypothesis would try
# hundreds, and stops at once only for a skipped test.
IN_VAIN = 10


def prove(check: Check, subject: Subject, depth: Depth = ORDINARY, case: str | None = None) -> Outcome:
    """Return the outcome of a check on a part.

    Args:
        case: One input, as JSON, instead of many random ones.

    Raises:
        UsageError: If that is not an input of the check.
    """
    if reason := check.why_not_applicable(subject):
        return Outcome(check.id, check.promise, "not applicable", reason)
    given_case = None if case is None else read_case(check, case, subject)
    began, trial = time.perf_counter(), Trial(check, subject)
    verdict: Verdict = "held"
    why, failure = "", None
    try:
        if given_case is None:
            trial.search(depth)
        else:
            trial.run(given_case)
    except NotHere as error:
        verdict, why = "not run", error.reason
    except DoesNotApply as error:
        verdict, why = "not applicable", error.reason
    except Exception as error:
        verdict, why, failure = "broken", trial.report(error), error
    return Outcome(check.id, check.promise, verdict, why, trial.count, time.perf_counter() - began, failure)


def read_case(check: Check, text: str, subject: Subject) -> Any:
    """Return the input that a JSON text describes, on the subject's device."""
    try:
        case = check.case.from_json(text)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"--case {text}: {error}") from error
    return replace(case, device=subject.device) if isinstance(case, Case) else case


class Trial:
    """One check on one part, tried on input after input."""

    def __init__(self, check: Check, subject: Subject) -> None:
        self.check, self.subject = check, subject
        self.count = 0
        # The last input on which the check failed: after shrinking, the smallest.
        self.failing: Any = None
        self.refused: DoesNotApply | None = None
        self.in_vain = 0

    def run(self, case: Any) -> None:
        """Try the check on one input."""
        try:
            self.check.law(self.subject.build, case)
        except DoesNotApply:
            raise
        except NotImplementedError as error:
            if is_raised_by_pytorch(error):
                self.failing = case
                raise
            raise Refusal(f"it refuses: {error}") from error
        except (Exception, SystemExit) as error:
            if missing := missing_accelerator(error):
                raise missing from error
            self.failing = case
            # SystemExit would end the search without an outcome.
            raise (CalledExit(error) if isinstance(error, SystemExit) else error) from error.__cause__
        self.count += 1

    def search(self, depth: Depth) -> None:
        """Try the check on random inputs; if it fails, search for a smaller input on which it fails.

        Raises:
            DoesNotApply: If the part refuses every input.
        """

        def body(case: Any) -> None:
            try:
                self.run(case)
            except NotHere:
                raise
            except DoesNotApply as error:
                self.refused = error
                self.in_vain += not isinstance(error, Refusal)
                if self.in_vain == IN_VAIN and not self.count:
                    raise SkipTest("it does not apply") from error
                reject()

        phases = [Phase.generate, Phase.shrink] if depth.shrink else [Phase.generate]
        ready = settings(
            max_examples=max(1, round(self.check.share * depth.inputs)),
            phases=phases,
            database=None,
            deadline=None,
            derandomize=False,
            report_multiple_bugs=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )
        search = seed(depth.seed)(ready(given(case=self.check.inputs(self.subject))(body)))
        try:
            with warnings.catch_warnings():
                # If annotations are checked at run time, beartype picks random items of the drawn input.
                warnings.filterwarnings("ignore", message="Do not use the `random` module")
                search()
        except (Unsatisfiable, SkipTest):
            raise self.refused or DoesNotApply("no input could be drawn for it") from None

    def report(self, error: Exception) -> str:
        """Return what is broken, where, on which input, and how to reproduce it."""
        if isinstance(error, Flaky):
            told = "it fails only sometimes on the same input"
        elif isinstance(error, AssertionError):
            told = str(error)
        else:
            told = f"{type(error).__name__}: {error}"
        lines = [told, *where(error, self.subject)]
        if self.failing is not None:
            if not is_raised_by_a_law(error):
                lines.append(f"on {self.failing}")
            lines.append(f"to reproduce: {self.subject.reproducer(self.check.id, self.failing.to_json())}")
        return "\n".join(lines)


class CalledExit(Exception):  # noqa: N818  # what the part did
    """A part called `sys.exit`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"it calls sys.exit({error})")
        self.__traceback__ = error.__traceback__


def is_raised_by_a_law(error: BaseException) -> bool:
    """Return whether a law raised the error itself; its message names the input."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, AssertionError) and Path(__file__).parent in Path(frames[-1].filename).parents


def is_raised_by_pytorch(error: BaseException) -> bool:
    """Return whether a line of PyTorch's raised the error."""
    file = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return Path(torch.__file__).parent in file.parents


def where(error: BaseException, subject: Subject) -> Iterator[str]:
    """Yield the line of the part's own file in which the error was raised, if there is one."""
    file = file_of(subject.part)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if lines:
        yield f"raised at {file}:{lines[-1]}"


def checks_of(subject: Subject, level: str = LEVELS[0]) -> list[Check]:
    """Return the checks of the subject's kind, up to a level of the contract.

    Raises:
        UsageError: If there is no such level.
    """
    if level not in LEVELS:
        raise UsageError(f"the contract has no level {level!r}. Known: {', '.join(LEVELS)}")
    return [check for check in CHECKS if check.concerns(subject) and int(check.level) <= int(level)]
