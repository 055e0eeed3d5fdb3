"""What turns text into tokens and back."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any


class Tokenizer(ABC):
    """Turns text into token ids and back. Its vocabulary may come from the text it is made with."""

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
