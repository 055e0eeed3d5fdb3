"""What corpora made of one text share: the last part of it is held out for validation."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated

from pydantic import Field

from gptkit.errors import DataError
from gptkit.interfaces import Corpus


class SplitCorpus(Corpus):
    """One text, of which the last part is for validation. Subclasses say how to read it.

    Args:
        validation_share: Share of the characters, at the end of the text, that is for validation.
    """

    def __init__(self, *, validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1) -> None:
        super().__init__()
        self.validation_share = validation_share

    @abstractmethod
    def read(self) -> str:
        """Return the whole text.

        Raises:
            DataError: If it cannot be had.
        """

    @cached_property
    def text(self) -> str:
        """The whole text, read once."""
        return self.read()

    @property
    def cut(self) -> int:
        """Number of characters before the validation text."""
        return int(len(self.text) * (1 - self.validation_share))

    def train(self) -> Iterator[str]:
        """Yield the text up to the cut."""
        yield self.text[: self.cut]

    def validation(self) -> Iterator[str]:
        """Yield the text from the cut on."""
        yield self.text[self.cut :]


def decode_utf8(content: bytes, source: str) -> str:
    """Return bytes as text, exactly: line ends and a byte-order mark stay as they are.

    Args:
        source: What the bytes were read from, for the error.

    Raises:
        DataError: If they are not UTF-8; names the offset of the first byte that is not.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source}: not UTF-8: byte {content[error.start]:#04x} at offset {error.start:,}. "
            "Convert the file to UTF-8 first"
        ) from None
