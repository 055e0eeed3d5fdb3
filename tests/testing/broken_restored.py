"""Tokenizers that are another after being saved, or that number or decode text by how it was cut."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

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


class CountsPieces(CharTokenizer):
    """Keeps characters that are in more than one piece in a hundred."""

    def __init__(self, text: Iterable[str]) -> None:
        pieces = list(text)
        found = Counter(character for piece in pieces for character in set(piece))
        super().__init__([character for character, n in found.items() if n * 100 > len(pieces)])


class SavesWhereItsFileIs(CharTokenizer):
    """Saves the path of a file, which is not there where a run is resumed."""

    def to_json(self) -> dict[str, Any]:
        folder = tempfile.mkdtemp()
        path = Path(folder, "vocabulary.json")
        path.write_text(json.dumps(self.characters), encoding="utf-8")
        return {"path": str(path)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "SavesWhereItsFileIs":
        return cls(json.loads(Path(saved["path"]).read_text(encoding="utf-8")))


class SavesAKeyOfItsProcess(CharTokenizer):
    """Saves a number under which the class keeps the vocabulary."""

    kept: ClassVar[list[list[str]]] = []

    def to_json(self) -> dict[str, Any]:
        self.kept.append(self.characters)
        return {"key": len(self.kept) - 1}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "SavesAKeyOfItsProcess":
        return cls(cls.kept[saved["key"]])


class NumbersBySetOrder(CharTokenizer):
    """Numbers characters in the order of a set, which is another in each process."""

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__(text)
        self.characters = list(set(self.characters))
        self.ids = {character: i for i, character in enumerate(self.characters)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "NumbersBySetOrder":
        tokenizer = cls([])
        tokenizer.characters = list(saved["characters"])
        tokenizer.ids = {character: i for i, character in enumerate(tokenizer.characters)}
        return tokenizer


class GrowsItsVocabulary(CharTokenizer):
    """Takes a character that it does not know into the vocabulary, after the model has been built."""

    def encode(self, text: str) -> list[int]:
        for character in text:
            if character not in self.ids:
                self.ids[character] = len(self.ids)
                self.characters.append(character)
        return super().encode(text)


class SavesWhatItHasEncoded(CharTokenizer):
    """Saves the characters that it has met in texts, which a new tokenizer has not."""

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__(text)
        self.met: set[str] = set()

    def encode(self, text: str) -> list[int]:
        self.met |= set(text)
        return super().encode(text)

    def to_json(self) -> dict[str, Any]:
        used = self.met & set(self.characters)
        return {"characters": "".join(sorted(used)) if used else "".join(self.characters)}


CAUGHT_BY: CaughtBy = {
    NumbersByPieces: "vocabulary_ignores_cuts",
    MergesWithinPieces: "vocabulary_ignores_cuts",
    CountsPieces: "vocabulary_ignores_cuts_when_large",
    SavesWhereItsFileIs: "restores_without_files",
    SavesAKeyOfItsProcess: "encoding_changes_nothing",
    NumbersBySetOrder: "tokenizer_is_the_same_in_another_process",
    GrowsItsVocabulary: "encoding_changes_nothing",
    SavesWhatItHasEncoded: "encoding_changes_nothing",
}
