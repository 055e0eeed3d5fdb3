from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Integer

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Tokenizer

# An error lists at most so many characters of the vocabulary: enough for any alphabet, not for all of Chinese.
LISTED = 256
# One more than the largest code point of Unicode.
CODE_POINTS = 0x110000


class CharTokenizer(Tokenizer):
    """One token for each distinct character of the corpus, sorted by code point."""

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__(text)
        seen = np.zeros(CODE_POINTS, dtype=bool)
        for piece in text:
            seen[code_points(piece)] = True
        self.characters = list(map(chr, np.flatnonzero(seen)))
        self.ids = {character: i for i, character in enumerate(self.characters)}

    @property
    def vocab_size(self) -> int:
        """Number of distinct characters."""
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """Return the id of each character.

        Raises:
            ValueError: If a character is not in the vocabulary; the message lists those that are.
        """
        try:
            return [self.ids[character] for character in text]
        except KeyError as error:
            raise self.unknown_character(text, text.index(error.args[0])) from None

    @cached_property
    def table(self) -> Integer[np.ndarray, " N"]:
        """The id of each code point; -1 where it is not in the vocabulary."""
        table = np.full(CODE_POINTS, -1, dtype=np.int32)
        table[[ord(character) for character in self.characters]] = np.arange(self.vocab_size)
        return table

    def encode_array(self, text: str) -> Integer[np.ndarray, " N"]:
        """Return the id of each character, as an array.

        Raises:
            ValueError: As `encode` does.
        """
        ids = self.table[code_points(text)]
        if len(ids) and ids.min() < 0:
            raise self.unknown_character(text, int(ids.argmin()))
        return ids

    def unknown_character(self, text: str, position: int) -> ValueError:
        """Return the error for a character that is not in the vocabulary."""
        more = f" and {self.vocab_size - LISTED:,} more" if self.vocab_size > LISTED else ""
        return ValueError(
            f"character {text[position]!r} at position {position} is not in the vocabulary of "
            f"{self.vocab_size:,} characters: {''.join(self.characters[:LISTED])!r}{more}"
        )

    def safe_cut(self, text: str) -> int:
        """Return the end: each character is a token."""
        return len(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the characters of the ids."""
        return "".join(self.characters[i] for i in ids)

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary, sorted by id."""
        return {"characters": "".join(self.characters)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "CharTokenizer":
        """Return the tokenizer with a saved vocabulary."""
        return cls([saved["characters"]])


def code_points(text: str) -> Integer[np.ndarray, " N"]:
    """Return the code point of each character."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


@hookimpl
def gptkit_register(register: Register) -> None:
    register("char", CharTokenizer)
