"""Tokenizer: converts between text and token ids."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer


class Tokenizer(ABC):
    """Converts between text and token ids. A corpus is encoded piece by piece, cut where `safe_cut` says.

    Args:
        text: The corpus, from which to build the vocabulary. It can be iterated more than once, and gives pieces
            that are cut anywhere.
    """

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__()

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of distinct tokens. Ids run from 0 to one less."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the ids of a text.

        Raises:
            ValueError: If the vocabulary cannot express the text.
        """

    def encode_array(self, text: str) -> Integer[np.ndarray, " N"]:
        """Return the ids of a text as an array. Override this if there is a faster way than through a list.

        Raises:
            ValueError: As `encode` does.
        """
        return np.array(self.encode(text), dtype=np.int64)

    def safe_cut(self, text: str) -> int:
        """Return the last position where a text may be cut, for any text that may follow it; 0 if there is none.

        Encoding what is before the position and what is after it gives the ids of the whole. A corpus that is read
        in pieces is encoded up to there. The default, 0, is right for every tokenizer, but then a corpus must fit
        into memory. Override this if the tokens at the end of a text do not depend on what follows.
        """
        return 0

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the ids. When text is generated, the last ids are decoded without the first ones."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return all that `from_json` needs, in JSON's types: files may be gone when a run is resumed."""

    @classmethod
    @abstractmethod
    def from_json(cls, saved: dict[str, Any]) -> "Tokenizer":
        """Restore a tokenizer from the result of `to_json`."""
