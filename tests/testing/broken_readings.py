"""Corpora that are another text elsewhere or later, whose two texts overlap, or whose text is not Unicode."""

import random
from collections.abc import Iterator
from itertools import count

from tests.testing.mutant import CaughtBy
from tests.testing.right_corpora import VariedCorpus


class ShufflesByTheSeedOfOthers(VariedCorpus):
    """Shuffles with Python's generator, whose state others set."""

    def read(self) -> str:
        lines = super().read().splitlines(keepends=True)
        random.shuffle(lines)
        return "".join(lines)


class GrowsWithEachInstance(VariedCorpus):
    """Each instance reads one line more."""

    made = count(1)

    def __init__(self) -> None:
        super().__init__()
        self.more = next(self.made)

    def read(self) -> str:
        return super().read() + "one line more\n" * self.more


class ValidatesFromFivePercentEarlier(VariedCorpus):
    """Begins its validation text in the last 5 % of the training text."""

    def validation(self) -> Iterator[str]:
        yield self.text[int(0.95 * self.cut) :]


class ValidatesOnEveryTwentiethLine(VariedCorpus):
    """Takes every twentieth line for validation as well, and does not take it from training."""

    def validation(self) -> Iterator[str]:
        yield from self.text[: self.cut].splitlines(keepends=True)[::20]
        yield from super().validation()


class TakesTheValidationOut(VariedCorpus):
    """Gives the whole text to training until its validation text was read once."""

    has_validated = False

    def train(self) -> Iterator[str]:
        yield self.text[: self.cut if self.has_validated else -1]

    def validation(self) -> Iterator[str]:
        self.has_validated = True
        yield from super().validation()


class CleansOnTheSecondReading(VariedCorpus):
    """Strips the ends of lines of what it keeps for the next reading."""

    kept: str | None = None

    def train(self) -> Iterator[str]:
        text = "".join(super().train())
        yield text if self.kept is None else self.kept
        self.kept = text.replace(".\n", "\n")


class GivesLists(VariedCorpus):
    """Gives lists of lines instead of text."""

    def train(self) -> Iterator[str]:
        yield self.text[: self.cut].splitlines(keepends=True)  # type: ignore[misc]


class EndsWithNone(VariedCorpus):
    """Gives None when its text is over."""

    def validation(self) -> Iterator[str]:
        yield from super().validation()
        yield None  # type: ignore[misc]


CAUGHT_BY: CaughtBy = {
    ShufflesByTheSeedOfOthers: "gives_the_same_again",
    GrowsWithEachInstance: "gives_the_same_again",
    ValidatesFromFivePercentEarlier: "keeps_validation_apart",
    ValidatesOnEveryTwentiethLine: "keeps_validation_apart",
    TakesTheValidationOut: "keeps_validation_apart",
    CleansOnTheSecondReading: "gives_the_same_again",
    GivesLists: "gives_text",
    EndsWithNone: "gives_text",
}
