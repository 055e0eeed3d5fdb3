"""A tokenizer to start from: frequent words, and characters for the rest."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import NonNegativeInt

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Tokenizer

PIECE = re.compile(r"\w+|\W")


class MineTokenizer(Tokenizer):
    """The most frequent words of a text, and every single character in it to spell the other words with.

    Change: how a text falls into tokens. Options are the keyword-only, annotated parameters of the constructor.

    Promised: `decode` undoes `encode` for every text that `encode` takes, and `encode` raises ValueError for the
    others. `to_json` holds all that `from_json` needs for the same ids.

    Args:
        words: The most words that get tokens of their own.
    """

    def __init__(self, text: Iterable[str], *, words: NonNegativeInt = 1000) -> None:
        super().__init__(text)
        whole = "".join(text)
        counts = Counter(piece for piece in PIECE.findall(whole) if len(piece) > 1)
        # By count, then alphabet: the same text gives the same ids each time.
        frequent = sorted(counts, key=lambda word: (-counts[word], word))[:words]
        self.number(sorted(set(whole)) + frequent)

    def number(self, tokens: list[str]) -> None:
        """Give each token its place in the list as its id."""
        self.tokens = tokens
        self.ids = {token: i for i, token in enumerate(tokens)}

    @property
    def vocab_size(self) -> int:
        """Number of characters and frequent words."""
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """Return the ids of frequent words, and of the characters of all else.

        Raises:
            ValueError: If a character was not in the text that the vocabulary is made of.
        """
        if unknown := sorted(set(text) - self.ids.keys()):
            raise ValueError(f"not in the vocabulary of {self.vocab_size:,} tokens: {''.join(unknown)!r}")
        pieces = ([piece] if piece in self.ids else piece for piece in PIECE.findall(text))
        return [self.ids[token] for tokens in pieces for token in tokens]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the words and characters of some ids."""
        return "".join(self.tokens[i] for i in ids)

    def to_json(self) -> dict[str, Any]:
        """Return the tokens, in the order of their ids."""
        return {"tokens": self.tokens}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "MineTokenizer":
        """Return the tokenizer with a saved vocabulary."""
        tokenizer = cls([])
        tokenizer.number(saved["tokens"])
        return tokenizer


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineTokenizer)
