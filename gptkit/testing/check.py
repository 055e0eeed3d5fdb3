"""One check of the contract: a law, and the inputs that it is tried on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from gptkit.testing.input import Input
from gptkit.testing.subject import Subject

LEVELS = ("1",)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A promise of every part of some kinds, and how it is checked.

    Args:
        id: What a person selects it by.
        promise: What is promised, in a sentence.
        law: Raises AssertionError where a part, given by what builds it, breaks the promise on an input.
        kinds: Whose promise it is.
        inputs: What it is tried on.
        case: The class of those inputs.
        only: The class that a part inherits if it makes the promise.
        share: Of the usual number of inputs, where each takes long or shows much; at least one is tried.
        level: The first level of the contract that holds it.
    """

    id: str
    promise: str
    law: Callable[..., None]
    kinds: tuple[str, ...]
    inputs: Callable[[Subject], st.SearchStrategy[Any]]
    case: type[Input]
    only: tuple[type, ...] = ()
    share: float = 1.0
    level: str = "1"

    def concerns(self, subject: Subject) -> bool:
        """Return whether parts of this one's kind make the promise."""
        return subject.kind in self.kinds

    def reason_against(self, subject: Subject) -> str:
        """Return why this part does not make the promise, or nothing."""
        if self.only and not issubclass(subject.part, self.only):
            names = " or ".join(each.__name__ for each in self.only)
            return f"it does not inherit {names}"
        return ""
