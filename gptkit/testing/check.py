"""One check of the contract: a law, and the inputs on which it is tried."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from gptkit.testing.case import Case
from gptkit.testing.declared_limits import declared_limits
from gptkit.testing.equivalence import in_dtype
from gptkit.testing.input import Input
from gptkit.testing.strategies import Inputs, cases
from gptkit.testing.subject import Subject

Law = Callable[..., None]

LEVELS = ("1", "2")
DTYPES = ("float64", "float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class Check:
    """A promise of every part of some kinds, and how it is checked.

    Args:
        id: The name by which it is selected.
        promise: What is promised, in a sentence.
        law: Raises AssertionError if the part that a constructor builds breaks the promise on an input.
        kinds: The kinds of parts that make the promise.
        inputs: Gives the hypothesis strategy of inputs for a part.
        case: The class of those inputs.
        only: Classes; of the parts of those kinds, those that inherit one make the promise. Empty: all do.
        share: Share of the usual number of inputs, for slow checks and those that need few; at least one is tried.
        level: The first level of the contract that has the check.
        is_core: Whether a part of those kinds is unproven while this was not tried.
        asks: What its passes need that a part may declare a limit of, in the words of `declared_limits`.
    """

    id: str
    promise: str
    law: Law
    kinds: tuple[str, ...]
    inputs: Inputs
    case: type[Input]
    only: tuple[type, ...] = ()
    share: float = 1.0
    level: str = "1"
    is_core: bool = False
    asks: str = ""

    def concerns(self, subject: Subject) -> bool:
        """Return whether parts of the subject's kind make the promise."""
        return subject.kind in self.kinds

    def why_not_applicable(self, subject: Subject) -> str:
        """Return why the subject does not make the promise, or the empty string if it does."""
        if self.only and not issubclass(subject.part, self.only):
            names = " or ".join(each.__name__ for each in self.only)
            return f"it does not inherit {names}"
        if reason := declared_limits(subject).get(self.asks):
            return f"it declares that it cannot take {self.asks or 'any input'}: {reason}"
        return ""


def check(
    kinds: Iterable[str],
    law: Law,
    inputs: Inputs = cases,
    *,
    case: type[Input] = Case,
    when: str = "",
    **more: Any,
) -> Check:
    """Return the check of a law, named after it.

    Args:
        when: What is special about the inputs, if another check has the same law: "large".
    """
    suffix, condition = (f"_when_{when}", f", when {when.replace('_', ' ')}") if when else ("", "")
    return Check(
        id=f"{law.__name__}{suffix}",
        promise=f"{promise(law)}{condition}",
        law=law,
        kinds=tuple(kinds),
        inputs=inputs,
        case=case,
        **more,
    )


def check_in_dtypes(
    kinds: Iterable[str], law: Law, inputs: Inputs, *, suffix: str = "", **more: Any
) -> list[Check]:
    """Return one check of a law for each dtype."""
    return [
        Check(
            id=f"{law.__name__}{suffix}_in_{name}",
            promise=f"{promise(law)}, in {name}",
            law=partial(in_dtype, law, getattr(torch, name)),
            kinds=tuple(kinds),
            inputs=inputs,
            case=Case,
            **more,
        )
        for name in DTYPES
    ]


def promise(law: Law) -> str:
    """Return what a law asserts: the first line of its docstring after "Assert that"."""
    return (law.__doc__ or "").partition("\n")[0].removeprefix("Assert that ").rstrip(".")
