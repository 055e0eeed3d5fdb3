"""One check on one part, tried on input after input."""

import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import SkipTest

import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, reject, seed, settings
from hypothesis.errors import Unsatisfiable

from gptkit.testing.check import Check
from gptkit.testing.outcome import Depth, DoesNotApply, NotHere, Refusal
from gptkit.testing.subject import Subject

# Inputs that a part accepts and a law does not apply to, before it is said to apply to none. Hypothesis would try
# hundreds, and stops at once only for a skipped test.
IN_VAIN = 10
# Inputs that a part may refuse for each that is wanted, before the search ends.
REFUSED_FOR_EACH, REFUSED_AT_LEAST = 2, 50
# Refused inputs from which on it is no chance that all with something in common were refused.
SEVERAL = 3


class Trial:
    """One check on one part, tried on input after input."""

    def __init__(self, check: Check, subject: Subject) -> None:
        self.check, self.subject = check, subject
        self.count = 0
        # The last input on which the check failed: after shrinking, the smallest.
        self.failing: Any = None
        # The axes on which an input on which the check held is beyond the trivial.
        self.seen: frozenset[str] = frozenset()
        # What the part refused, and why.
        self.refusals: list[tuple[Any, Refusal]] = []
        # Why the check does not apply to inputs that the part accepts.
        self.in_vain: list[DoesNotApply] = []

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
            self.failing = case
            # SystemExit would end the search without an outcome.
            raise (CalledExit(error) if isinstance(error, SystemExit) else error) from error.__cause__
        self.count += 1
        self.seen |= case.beyond_the_trivial()

    def refused_throughout(self) -> str:
        """Return what the part refused each time it was drawn, so that the check never saw it, or nothing."""
        axes = Counter(axis for case, _ in self.refusals for axis in case.beyond_the_trivial() - self.seen)
        unseen = [axis for axis, count in axes.items() if count >= SEVERAL]
        if not unseen:
            return ""
        refusal = next(refusal for case, refusal in self.refusals if unseen[0] in case.beyond_the_trivial())
        return f"never tried with {' or '.join(sorted(unseen))}: {refusal.reason}"

    def search(self, depth: Depth) -> None:
        """Try the check on random inputs; if it fails, search for a smaller input on which it fails.

        Raises:
            Refusal: If the part refuses every input.
            DoesNotApply: If the check applies to no input.
        """
        wanted = max(1, round(self.check.share * depth.inputs))
        may_refuse = max(REFUSED_AT_LEAST, REFUSED_FOR_EACH * wanted)

        def body(case: Any) -> None:
            try:
                self.run(case)
            except NotHere:
                raise
            except Refusal as error:
                self.refusals.append((case, error))
                # Not while a failure is being shrunk, which this would hide.
                if len(self.refusals) >= may_refuse and self.failing is None:
                    raise SkipTest("it refuses too much") from error
                reject()
            except DoesNotApply as error:
                self.in_vain.append(error)
                if len(self.in_vain) >= IN_VAIN and not self.count and self.failing is None:
                    raise SkipTest("it does not apply") from error
                reject()

        phases = [Phase.generate, Phase.shrink] if depth.shrink else [Phase.generate]
        ready = settings(
            max_examples=wanted,
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
            if self.count:
                return
            reasons = [*(refusal for _, refusal in self.refusals), *self.in_vain]
            raise reasons[0] if reasons else DoesNotApply("no input could be drawn for it") from None


class CalledExit(Exception):  # noqa: N818  # what the part did
    """A part called `sys.exit`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"it calls sys.exit({error})")
        self.__traceback__ = error.__traceback__


def is_raised_by_pytorch(error: BaseException) -> bool:
    """Return whether a line of PyTorch's raised the error."""
    file = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return Path(torch.__file__).parent in file.parents
