"""A tokenizer to start from: frequent words, and single characters for the rest."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import NonNegativeInt

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Tokenizer

PIECE, BETWEEN = re.compile(r"\w+|\W"), re.compile(r"\W")


class MineTokenizer(Tokenizer):
    """One token for each frequent word of the corpus, and for each of its characters, which spell all other words.

    Change: how text is split into tokens. Your own options are keyword-only, annotated parameters of the
    constructor.

    Promised: `decode` reverses `encode`. `encode` raises ValueError for text that the vocabulary cannot express. A
    tokenizer restored from `to_json` by `from_json` gives the same ids. Text may be cut where `safe_cut` says.

    Args:
        words: Most words that get their own token.
    """

    def __init__(self, text: Iterable[str], *, words: NonNegativeInt = 1000) -> None:
        super().__init__(text)
        corpus = "".join(text)
        counts = Counter(piece for piece in PIECE.findall(corpus) if len(piece) > 1)
        # By count, then alphabetically: the same text always gives the same ids.
        frequent = sorted(counts, key=lambda word: (-counts[word], word))[:words]
        self.number(sorted(set(corpus)) + frequent)

    def number(self, tokens: list[str]) -> None:
        """Number the tokens in the order of the list."""
        self.tokens = tokens
        self.ids = {token: i for i, token in enumerate(tokens)}

    @property
    def vocab_size(self) -> int:
        """Number of characters and frequent words."""
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """Return the ids of frequent words, and of the characters of all other words.

        Raises:
            ValueError: If a character is not in the vocabulary.
        """
        if unknown := sorted(set(text) - self.ids.keys()):
            raise ValueError(f"not in the vocabulary of {self.vocab_size:,} tokens: {''.join(unknown)!r}")
        pieces = ([piece] if piece in self.ids else piece for piece in PIECE.findall(text))
        return [self.ids[token] for tokens in pieces for token in tokens]

    def safe_cut(self, text: str) -> int:
        """Return the position after the last character between words: a word at the end may go on."""
        return next((i for i in range(len(text), 0, -1) if BETWEEN.match(text[i - 1])), 0)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the ids."""
        return "".join(self.tokens[i] for i in ids)

    def to_json(self) -> dict[str, Any]:
        """Return the tokens, sorted by id."""
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
