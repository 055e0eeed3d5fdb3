"""Tokenizers that break where they are used: on pieces of a corpus, token by token, or when a run is resumed."""

import json
import os
import tempfile
import time
import weakref
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from gptkit.components.tokenizer.byte import ByteTokenizer
from gptkit.components.tokenizer.char import CharTokenizer, code_points
from gptkit.registry.templates.tokenizer import MineTokenizer
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import SpacedTokenizer

Ids = Integer[np.ndarray, " N"]


class ReadsBytesAsSigned(ByteTokenizer):
    def encode_array(self, text: str) -> Ids:
        return np.frombuffer(text.encode(), dtype=np.int8)


class ArraysDropWhatTheyDoNotKnow(CharTokenizer):
    def encode_array(self, text: str) -> Ids:
        ids = self.table[code_points(text)]
        return ids[ids >= 0]


class ArraysOfFloats(CharTokenizer):
    def encode_array(self, text: str) -> Ids:
        return super().encode_array(text).astype(np.float32)


class ArraysRefuseInSilence(CharTokenizer):
    def encode_array(self, text: str) -> Ids:
        return np.array([self.ids[character] for character in text], dtype=np.int64)


class CutsInsideWords(MineTokenizer):
    def safe_cut(self, text: str) -> int:
        return len(text)


class CutsBeforeTheStart(SpacedTokenizer):
    """Each part would begin with a space."""

    def safe_cut(self, text: str) -> int:
        return text.rfind(" ") + 1


class CutsBeyondTheEnd(ByteTokenizer):
    """Counts bytes, not characters."""

    def safe_cut(self, text: str) -> int:
        return len(text.encode())


class CountsWordsWithinPieces(MineTokenizer):
    def __init__(self, text: Iterable[str]) -> None:
        pieces = list(text)
        super().__init__(pieces)
        words = {word for piece in pieces for word in piece.split()}
        self.number([token for token in self.tokens if len(token) == 1 or token in words])


class WritesBackwards(CharTokenizer):
    def encode(self, text: str) -> list[int]:
        return super().encode(text)[::-1]

    def encode_array(self, text: str) -> Ids:
        return super().encode_array(text)[::-1]

    def safe_cut(self, text: str) -> int:
        return 0

    def decode(self, ids: Sequence[int]) -> str:
        return super().decode(ids)[::-1]


class ReadsItsVocabularyAgain(CharTokenizer):
    """Saves where its vocabulary is."""

    def to_json(self) -> dict[str, Any]:
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            json.dump(self.characters, file)
        weakref.finalize(self, os.unlink, file.name)
        return {"path": file.name}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "CharTokenizer":
        return cls(json.loads(Path(saved["path"]).read_text()))


class ReplacesHalves(ByteTokenizer):
    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8", "replace"))

    def encode_array(self, text: str) -> Ids:
        return np.array(self.encode(text), dtype=np.uint8)


class ArraysReplaceHalves(ByteTokenizer):
    def encode_array(self, text: str) -> Ids:
        return np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)


class WritesOverItsArray(CharTokenizer):
    """Gives a view of one buffer."""

    buffer = np.zeros(2000, dtype=np.int64)

    def encode_array(self, text: str) -> Ids:
        ids = super().encode_array(text)
        self.buffer[: len(ids)] = ids
        return self.buffer[: len(ids)]


class LearnsWhileItEncodes(CharTokenizer):
    """Takes characters that it does not know into the vocabulary."""

    def encode(self, text: str) -> list[int]:
        for character in text:
            if self.ids.setdefault(character, len(self.characters)) == len(self.characters):
                self.characters.append(character)
        return super().encode(text)

    def encode_array(self, text: str) -> Ids:
        return np.array(self.encode(text), dtype=np.int64)


class SavesWhatItHasMet(CharTokenizer):
    """The characters of the texts that it has encoded, or all before the first."""

    def encode(self, text: str) -> list[int]:
        ids = super().encode(text)
        self.met = getattr(self, "met", set()) | set(text)
        return ids

    def to_json(self) -> dict[str, Any]:
        return {"characters": "".join(sorted(getattr(self, "met", self.characters)))}


class EncodesByTheHour(ByteTokenizer):
    """Its ids turn with the hour, and back."""

    def encode(self, text: str) -> list[int]:
        return [(i + int(time.time() // 3600)) % 256 for i in super().encode(text)]

    def encode_array(self, text: str) -> Ids:
        return np.array(self.encode(text), dtype=np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        return super().decode([(i - int(time.time() // 3600)) % 256 for i in ids])


class ArraysOfBytes(CharTokenizer):
    """One byte for an id, of which there may be more than 256."""

    def encode_array(self, text: str) -> Ids:
        return super().encode_array(text).astype(np.uint8)


class DropsWhatIsInFewPieces(CharTokenizer):
    """Keeps characters that more than one piece in a hundred has."""

    def __init__(self, text: Iterable[str]) -> None:
        pieces = list(text)
        found = Counter(character for piece in pieces for character in set(piece))
        super().__init__([character for character, count in found.items() if 100 * count > len(pieces)])


CAUGHT_BY: CaughtBy = {
    ReadsBytesAsSigned: "encode_array_gives_the_same_ids",
    ArraysDropWhatTheyDoNotKnow: "encode_array_gives_the_same_ids",
    ArraysOfFloats: "encode_array_gives_the_same_ids",
    ArraysRefuseInSilence: "encode_array_gives_the_same_ids",
    CutsInsideWords: "safe_cuts_change_nothing",
    CutsBeforeTheStart: "safe_cuts_change_nothing",
    CutsBeyondTheEnd: "safe_cuts_change_nothing",
    CountsWordsWithinPieces: "vocabulary_ignores_cuts",
    WritesBackwards: "decodes_token_by_token",
    ReadsItsVocabularyAgain: "restores_without_files",
    WritesOverItsArray: "encoding_changes_nothing",
    LearnsWhileItEncodes: "encoding_changes_nothing",
    SavesWhatItHasMet: "encoding_changes_nothing",
    EncodesByTheHour: "encoding_changes_nothing",
    ArraysOfBytes: "encode_array_gives_the_same_ids_when_large",
    DropsWhatIsInFewPieces: "vocabulary_ignores_cuts_when_large",
    ReplacesHalves: "round_trips_when_not_unicode",
    ArraysReplaceHalves: "encode_array_gives_the_same_ids_when_not_unicode",
}
