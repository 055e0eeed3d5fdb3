"""Corpus: the text to train and validate on."""

from abc import ABC, abstractmethod
from collections.abc import Iterator


class Corpus(ABC):
    """Yields the training text and the validation text, in pieces of any length. Every call yields the same text.

    Raises:
        DataError: From either method, if the text cannot be read.
    """

    @abstractmethod
    def train(self) -> Iterator[str]:
        """Yield the training text."""

    @abstractmethod
    def validation(self) -> Iterator[str]:
        """Yield the validation text, which shares nothing with the training text."""
