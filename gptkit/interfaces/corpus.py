"""What yields the text to learn from."""

from abc import ABC, abstractmethod
from collections.abc import Iterator


class Corpus(ABC):
    """Yields text to train on and text to validate on, in pieces of any length, the same each time it is asked.

    Raises:
        DataError: From either method, if the text cannot be had.
    """

    @abstractmethod
    def train(self) -> Iterator[str]:
        """Yield the training text."""

    @abstractmethod
    def validation(self) -> Iterator[str]:
        """Yield the validation text, none of it in the training text."""
