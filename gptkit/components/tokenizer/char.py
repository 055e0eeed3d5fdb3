"""One token for each character."""

from collections.abc import Iterable, Sequence
from typing import Any

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Tokenizer

# How many characters of the vocabulary a message shows: those of any alphabet, not all of Chinese.
LISTED = 256


class CharTokenizer(Tokenizer):
    """The distinct characters of a text, in the order of their code points."""

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__(text)
        self.characters = sorted(set().union(*text))
        self.ids = {character: i for i, character in enumerate(self.characters)}

    @property
    def vocab_size(self) -> int:
        """Number of distinct characters."""
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """Return the id of each character.

        Raises:
            ValueError: If a character is not in the vocabulary; lists those that are.
        """
        try:
            return [self.ids[character] for character in text]
        except KeyError as unknown:
            position = text.index(unknown.args[0])
            more = f" and {self.vocab_size - LISTED:,} more" if self.vocab_size > LISTED else ""
            raise ValueError(
                f"character {unknown.args[0]!r} at position {position} is not in the vocabulary of "
                f"{self.vocab_size:,} characters: {''.join(self.characters[:LISTED])!r}{more}"
            ) from None

    def decode(self, ids: Sequence[int]) -> str:
        """Return the characters of some ids."""
        return "".join(self.characters[i] for i in ids)

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary, in the order of its ids."""
        return {"characters": "".join(self.characters)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "CharTokenizer":
        """Return the tokenizer with a saved vocabulary."""
        return cls([saved["characters"]])


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `char`."""
    register("char", CharTokenizer)
