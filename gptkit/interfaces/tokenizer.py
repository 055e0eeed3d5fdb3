"""What turns text into tokens and back."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer


class Tokenizer(ABC):
    """Turns text into token ids and back. Its vocabulary may come from the text it is made with.

    That text comes in pieces, which can be iterated more than once. A corpus is encoded piece by piece too.
    """

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__()

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of distinct tokens: ids run from 0 to one less."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the ids of a text.

        Raises:
            ValueError: If the text holds what this vocabulary does not.
        """

    def encode_array(self, text: str) -> Integer[np.ndarray, " N"]:
        """Return what `encode` returns, as an array; a tokenizer with a faster way than through a list says how.

        Raises:
            ValueError: As `encode` does.
        """
        return np.array(self.encode(text), dtype=np.int64)

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return all that `from_json` needs, in JSON's types."""

    @classmethod
    @abstractmethod
    def from_json(cls, saved: dict[str, Any]) -> "Tokenizer":
        """Return the tokenizer that `to_json` described."""
