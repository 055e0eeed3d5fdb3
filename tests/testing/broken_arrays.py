"""Tokenizers whose arrays of ids are not their ids."""

from typing import Any, ClassVar

import numpy as np

from gptkit.components.tokenizer.byte import ByteTokenizer
from gptkit.components.tokenizer.char import CharTokenizer
from tests.testing.mutant import CaughtBy

Ids = np.ndarray[Any, np.dtype[Any]]


class ArrayOfBytes(CharTokenizer):
    """Its array has 8 bits for an id, and 257 characters do not fit."""

    def encode_array(self, text: str) -> Ids:
        return np.array(self.encode(text)).astype(np.uint8)


class ArrayOfCodePoints(ByteTokenizer):
    """Its array holds code points instead of bytes."""

    def encode_array(self, text: str) -> Ids:
        return np.array([ord(character) for character in text], dtype=np.int64)


class ArrayWithoutRefusal(CharTokenizer):
    """Its array holds -1 for a character that it does not know."""

    def encode_array(self, text: str) -> Ids:
        return np.array([self.ids.get(character, -1) for character in text], dtype=np.int64)


class ArrayIsWrittenOver(CharTokenizer):
    """Returns a view of one buffer, which the next call writes over."""

    buffer: Ids | None = None

    def encode_array(self, text: str) -> Ids:
        if self.buffer is None or len(self.buffer) < len(text):
            self.buffer = np.zeros(max(64, len(text)), dtype=np.int64)
        self.buffer[: len(text)] = self.encode(text)
        return self.buffer[: len(text)]


class ArrayOfAnotherVocabulary(CharTokenizer):
    """Keeps its table of code points in the class."""

    tables: ClassVar[list[dict[str, int]]] = []

    def encode_array(self, text: str) -> Ids:
        self.tables.append(self.ids)
        known = self.tables[0] if set(text) <= set(self.tables[0]) else self.ids
        return np.array([known[character] for character in text], dtype=np.int64)


class ArrayOfFloats(CharTokenizer):
    """Its array holds float32."""

    def encode_array(self, text: str) -> Ids:
        return np.array(self.encode(text), dtype=np.float32)


class ArrayOfUtf16(CharTokenizer):
    """Reads text in units of 16 bits, of which a character beyond 65,535 has two."""

    def encode_array(self, text: str) -> Ids:
        units = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype="<u2")
        return np.array([self.ids.get(chr(unit), 0) for unit in units], dtype=np.int64)


class ArrayWithoutItsEnd(ByteTokenizer):
    """Drops line ends from its array, as reading by lines does."""

    def encode_array(self, text: str) -> Ids:
        return super().encode_array("".join(text.splitlines()))


class ArrayBeginsEachPiece(ByteTokenizer):
    """Puts a byte of 0 before each piece in its array."""

    def encode_array(self, text: str) -> Ids:
        return np.concatenate(([np.uint8(0)], super().encode_array(text)))


class BeginsItsFirstText(ByteTokenizer):
    """Writes a byte of 0 before the first text that it encodes as an array."""

    has_begun = False

    def encode_array(self, text: str) -> Ids:
        first = [] if self.has_begun else [0]
        self.has_begun = True
        return np.concatenate((np.array(first, dtype=np.uint8), super().encode_array(text)))


CAUGHT_BY: CaughtBy = {
    ArrayOfBytes: "encode_array_gives_the_same_ids_when_large",
    ArrayOfCodePoints: "encode_array_gives_the_same_ids",
    ArrayWithoutRefusal: "encode_array_gives_the_same_ids",
    ArrayIsWrittenOver: "encoding_changes_nothing",
    ArrayOfAnotherVocabulary: "encode_array_gives_the_same_ids",
    ArrayOfFloats: "encode_array_gives_the_same_ids",
    ArrayOfUtf16: "encode_array_gives_the_same_ids",
    ArrayWithoutItsEnd: "encode_array_gives_the_same_ids",
    ArrayBeginsEachPiece: "encode_array_gives_the_same_ids",
    BeginsItsFirstText: "encode_array_gives_the_same_ids",
}
