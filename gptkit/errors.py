"""Errors that users and plugins can cause, each with its exit code on the command line."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar


class GptkitError(Exception):
    """The base of all errors. The message says what to do; the command line prints it without a traceback."""

    exit_code: ClassVar[int] = 1


class PluginError(GptkitError):
    """A plugin does not load, or a part of it does not match its interface."""


class UsageError(GptkitError):
    """A command or a call has an argument that it cannot accept."""

    exit_code = 2


class DataError(GptkitError):
    """A corpus cannot be read, or cannot be trained on."""

    exit_code = 3


class CheckpointError(GptkitError):
    """A run directory or a checkpoint is missing, damaged or does not match."""

    exit_code = 4


class NumericsError(GptkitError):
    """A loss, gradient or weight is NaN or infinite."""

    exit_code = 5


@dataclass(frozen=True)
class Problem:
    """One problem in a recipe: `file:line` or another source, the key path, and what was found and expected."""

    where: str
    key: str
    message: str

    @property
    def file_and_line(self) -> tuple[str, int]:
        """The file and the line, counted from 1; line 0 if `where` names no line."""
        file, _, line = self.where.rpartition(":")
        return (file, int(line)) if line.isdecimal() else (self.where, 0)

    def __str__(self) -> str:
        return "  ".join(part for part in (self.where, self.key, self.message) if part)


class RecipeError(GptkitError):
    """A recipe is wrong. `problems` holds every problem found, sorted by file and line."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        distinct = list(dict.fromkeys(problems))
        files = [problem.file_and_line[0] for problem in distinct]
        by_line = sorted(distinct, key=lambda problem: problem.file_and_line[1])
        self.problems = tuple(sorted(by_line, key=lambda problem: files.index(problem.file_and_line[0])))
        super().__init__("\n".join(map(str, self.problems)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the known word nearest to this one, or an empty string if none is near."""
    nearest = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{nearest[0]}'?" if nearest else ""
