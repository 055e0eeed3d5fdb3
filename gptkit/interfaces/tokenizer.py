"""Tokenizer: converts between text and token ids."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer


class Tokenizer(ABC):
    """Converts between text and token ids. A corpus is encoded piece by piece.

    Args:
        text: The corpus, in pieces, from which to build the vocabulary. It can be iterated more than once.
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

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the ids."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return all that `from_json` needs, in JSON's types."""

    @classmethod
    @abstractmethod
    def from_json(cls, saved: dict[str, Any]) -> "Tokenizer":
        """Restore a tokenizer from the result of `to_json`."""
