"""What can go wrong by somebody's doing other than ours, each with the exit code the command line gives it."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar


class GptkitError(Exception):
    """An error whose message alone tells a person what to do. Its lines are printed as they are."""

    exit_code: ClassVar[int] = 1


class PluginError(GptkitError):
    """A plugin does not load, or a part of it does not do what its interface asks."""


class UsageError(GptkitError):
    """A command or a call was given something it cannot take."""

    exit_code = 2


class DataError(GptkitError):
    """A corpus cannot be read or cannot be trained on."""

    exit_code = 3


class CheckpointError(GptkitError):
    """A run directory or a checkpoint in it is not what it should be."""

    exit_code = 4


class NumericsError(GptkitError):
    """A loss, a gradient or a weight is not a finite number."""

    exit_code = 5


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe: where it stands, the key path, and what was expected there."""

    where: str
    key: str
    message: str

    @property
    def file_and_line(self) -> tuple[str, int]:
        """The file, and the line counted from 1, or 0 where the place is no line of a file."""
        file, _, line = self.where.rpartition(":")
        return (file, int(line)) if line.isdecimal() else (self.where, 0)

    def __str__(self) -> str:
        """Return the problem as the one line that a person reads."""
        return "  ".join(part for part in (self.where, self.key, self.message) if part)


class RecipeError(GptkitError):
    """A recipe cannot be followed; carries every problem found, file by file and line by line."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        distinct = list(dict.fromkeys(problems))
        files = list(dict.fromkeys(problem.file_and_line[0] for problem in distinct))
        order = {
            problem: (files.index(problem.file_and_line[0]), problem.file_and_line[1]) for problem in distinct
        }
        self.problems = tuple(sorted(distinct, key=order.__getitem__))
        super().__init__("\n".join(map(str, self.problems)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest of the known words, or nothing where none is near."""
    nearest = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{nearest[0]}'?" if nearest else ""
