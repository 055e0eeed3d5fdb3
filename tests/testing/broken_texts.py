"""Corpora that are another text in another process, or whose two texts overlap."""

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


CAUGHT_BY: CaughtBy = {
    OrderOfASet: "corpus_is_the_same_in_another_process",
    ShufflesByAHash: "corpus_is_the_same_in_another_process",
    ValidatesOnTheMiddle: "shares_little_with_training",
}
