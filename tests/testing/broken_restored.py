"""Tokenizers whose vocabulary follows from how their corpus was cut."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from gptkit.components.tokenizer.char import CharTokenizer
from tests.testing.mutant import CaughtBy
from tests.testing.right_tokenizers import MergeTokenizer


class NumbersByPieces(CharTokenizer):
    """Numbers the characters of one piece after those of the piece before."""

    def __init__(self, text: Iterable[str]) -> None:
        self.characters = list(dict.fromkeys(character for piece in text for character in sorted(set(piece))))
        self.ids = {character: i for i, character in enumerate(self.characters)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "NumbersByPieces":
        return cls(saved["characters"])


class MergesWithinPieces(MergeTokenizer):
    """Counts the words of each piece by itself: one that is cut counts as two."""

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__([])
        self.merges = self.learn(Counter(word for piece in text for word in self.words(piece)))


CAUGHT_BY: CaughtBy = {
    NumbersByPieces: "vocabulary_ignores_cuts",
    MergesWithinPieces: "vocabulary_ignores_cuts",
}
