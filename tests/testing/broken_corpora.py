"""Corpora whose texts overlap a little, are not Unicode, disturb one another, or are another text later."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import FileCorpus, SquaresCorpus


class TrainsOnATwentiethOfValidation(SquaresCorpus):
    """In the middle of the training text."""

    def train(self) -> Iterator[str]:
        share = len(self.text) - self.cut
        yield self.text[: self.cut // 2]
        yield self.text[self.cut + share // 2 : self.cut + share // 2 + share // 20]
        yield self.text[self.cut // 2 : self.cut]


class ValidatesOnEveryFifteenthLine(SquaresCorpus):
    """Draws them from the training text."""

    def validation(self) -> Iterator[str]:
        lines = self.text[: self.cut].splitlines(keepends=True)
        for i, line in enumerate(self.text[self.cut :].splitlines(keepends=True)):
            yield lines[37 * i % len(lines)] if i % 15 == 0 else line


class HoldsOutAgainstTheWholeText(SquaresCorpus):
    """Begins the validation text a tenth of it too early."""

    def validation(self) -> Iterator[str]:
        yield self.text[self.cut - (len(self.text) - self.cut) // 10 :]


class EscapesBytes(SquaresCorpus):
    def train(self) -> Iterator[str]:
        yield from super().train()
        yield b"caf\xe9".decode(errors="surrogateescape")


class CutsAPair(SquaresCorpus):
    """Gives both halves of a character, one after the other."""

    def validation(self) -> Iterator[str]:
        yield from ("\ud83d", "\ude00")
        yield from super().validation()


class ReplacesBrokenBytes(FileCorpus):
    def pieces(self) -> Iterator[str]:
        yield self.path.read_text(encoding="utf-8", errors="replace")


class SkipsBrokenBytes(FileCorpus):
    def pieces(self) -> Iterator[str]:
        yield self.path.read_text(encoding="utf-8", errors="ignore")


class SkipsBrokenBytesOfItsSecondFile(FileCorpus):
    """Refuses them in its first file."""

    def __init__(self, *, path: Path = Path(__file__), second: Path = Path(__file__)) -> None:
        super().__init__(path=path)
        self.second = second

    def pieces(self) -> Iterator[str]:
        yield from super().pieces()
        yield self.second.read_text(encoding="utf-8", errors="ignore")


class RaisesWhatPythonRaises(FileCorpus):
    def pieces(self) -> Iterator[str]:
        yield self.path.read_text(encoding="utf-8")


class KeepsOnePosition(SquaresCorpus):
    """Both texts go on from one position, as with one open file."""

    def train(self) -> Iterator[str]:
        self.position = 0
        while self.position < self.cut:
            yield self.text[self.position : (end := min(self.position + 100, self.cut))]
            self.position = end

    def validation(self) -> Iterator[str]:
        self.position = self.cut
        while self.position < len(self.text):
            yield self.text[self.position : self.position + 100]
            self.position += 100


class GoesOnWhereItStopped(SquaresCorpus):
    """A reading that was given up is taken up again by the next."""

    reader: Iterator[str] | None = None

    def train(self) -> Iterator[str]:
        self.reader = self.reader or iter(self.text[: self.cut].splitlines(keepends=True))
        yield from self.reader
        self.reader = None


class ShufflesByTheHour(SquaresCorpus):
    def read(self) -> str:
        lines = super().read().splitlines(keepends=True)
        random.Random(time.time() // 3600).shuffle(lines)
        return "".join(lines)


class ShufflesByItsProcess(SquaresCorpus):
    def read(self) -> str:
        lines = super().read().splitlines(keepends=True)
        random.Random(os.getpid()).shuffle(lines)
        return "".join(lines)


class ShufflesByAGlobalSeed(SquaresCorpus):
    """Leaves Python's random state as it was, and so hides that it depends on it."""

    def read(self) -> str:
        lines, state = super().read().splitlines(keepends=True), random.getstate()
        random.shuffle(lines)
        random.setstate(state)
        return "".join(lines)


CAUGHT_BY: CaughtBy = {
    TrainsOnATwentiethOfValidation: "shares_little_with_training",
    ValidatesOnEveryFifteenthLine: "shares_little_with_training",
    HoldsOutAgainstTheWholeText: "shares_little_with_training",
    EscapesBytes: "is_unicode",
    CutsAPair: "is_unicode",
    ReplacesBrokenBytes: "refuses_broken_files",
    SkipsBrokenBytes: "refuses_broken_files",
    SkipsBrokenBytesOfItsSecondFile: "refuses_broken_files",
    RaisesWhatPythonRaises: "refuses_broken_files",
    KeepsOnePosition: "readings_do_not_disturb_one_another",
    GoesOnWhereItStopped: "readings_do_not_disturb_one_another",
    ShufflesByTheHour: "is_the_same_later",
    ShufflesByItsProcess: "is_the_same_later",
    ShufflesByAGlobalSeed: "is_the_same_later",
}
