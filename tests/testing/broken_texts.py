"""Corpora that are another text elsewhere or later, whose two texts overlap, or whose text is not Unicode."""

import random
from collections.abc import Iterator

from tests.testing.mutant import CaughtBy
from tests.testing.right_corpora import VariedCorpus


class OrderOfASet(VariedCorpus):
    """Joins its paragraphs in the order of a set, which is another in each process."""

    def read(self) -> str:
        return "".join(set(super().read().splitlines(keepends=True)))


class ShufflesByAHash(VariedCorpus):
    """Shuffles by the hash of its name, which is another in each process."""

    def read(self) -> str:
        lines = super().read().splitlines(keepends=True)
        random.Random(hash("corpus")).shuffle(lines)
        return "".join(lines)


class ValidatesOnTheMiddle(VariedCorpus):
    """Adds a passage from the middle of the training text to the validation text."""

    def validation(self) -> Iterator[str]:
        yield from super().validation()
        yield self.text[self.cut // 2 : self.cut // 2 + self.cut // 20]


class HalvesOfCharacters(VariedCorpus):
    """Cuts a character beyond 65,535 in two, as UTF-16 does."""

    def train(self) -> Iterator[str]:
        yield from super().train()
        yield "\ud83d"
        yield "\ude00"


class SharesOneHandle(VariedCorpus):
    """Reads both texts through one handle: to begin one rewinds the other."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0

    def train(self) -> Iterator[str]:
        self.at = 0
        while self.at < self.cut:
            yield self.text[self.at : min(self.at + 100, self.cut)]
            self.at += 100

    def validation(self) -> Iterator[str]:
        self.at = self.cut
        while self.at < len(self.text):
            yield self.text[self.at : self.at + 100]
            self.at += 100


class GoesOnWhereAReaderStopped(VariedCorpus):
    """Keeps its reader, so that the next one begins where one that read less than all stopped."""

    reader: Iterator[str] | None = None

    def train(self) -> Iterator[str]:
        if self.reader is None:
            self.reader = iter(self.text[: self.cut].splitlines(keepends=True))
        yield from self.reader
        self.reader = None


CAUGHT_BY: CaughtBy = {
    OrderOfASet: "corpus_is_the_same_in_another_process",
    ShufflesByAHash: "corpus_is_the_same_in_another_process",
    ValidatesOnTheMiddle: "shares_little_with_training",
    HalvesOfCharacters: "is_unicode",
    SharesOneHandle: "readings_do_not_disturb_one_another",
    GoesOnWhereAReaderStopped: "readings_do_not_disturb_one_another",
}
