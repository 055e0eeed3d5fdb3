"""Tokenizers whose arrays of ids are not their ids."""

from typing import Any, ClassVar

import numpy as np

from gptkit.components.tokenizer.byte import ByteTokenizer
from gptkit.components.tokenizer.char import CharTokenizer
from tests.testing.mutant import CaughtBy

Ids = np.ndarray[Any, np.dtype[Any]]


class ArrayOfCodePoints(ByteTokenizer):
    """Its array holds code points instead of bytes."""

    def encode_array(self, text: str) -> Ids:
        return np.array([ord(character) for character in text], dtype=np.int64)


class ArrayOfAnotherVocabulary(CharTokenizer):
    """Keeps its table of code points in the class."""

    tables: ClassVar[list[dict[str, int]]] = []

    def encode_array(self, text: str) -> Ids:
        self.tables.append(self.ids)
        known = self.tables[0] if set(text) <= set(self.tables[0]) else self.ids
        return np.array([known[character] for character in text], dtype=np.int64)


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
    ArrayOfCodePoints: "encode_array_gives_the_same_ids",
    ArrayOfAnotherVocabulary: "encode_array_gives_the_same_ids",
    ArrayOfUtf16: "encode_array_gives_the_same_ids",
    ArrayWithoutItsEnd: "encode_array_gives_the_same_ids",
    ArrayBeginsEachPiece: "encode_array_gives_the_same_ids",
    BeginsItsFirstText: "encode_array_gives_the_same_ids",
}
