"""What corpora made of one text share: the last part of it is held out for validation."""

import codecs
from abc import abstractmethod
from collections.abc import Iterable, Iterator
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

    def pieces(self) -> Iterator[str]:
        """Yield the text in pieces, the same each time; a corpus too large for memory says how."""
        yield self.text

    @cached_property
    def length(self) -> int:
        """Number of characters in the whole text."""
        return sum(map(len, self.pieces()))

    @property
    def cut(self) -> int:
        """Number of characters before the validation text."""
        return int(self.length * (1 - self.validation_share))

    def train(self) -> Iterator[str]:
        """Yield the text up to the cut."""
        left = self.cut
        for piece in self.pieces():
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return

    def validation(self) -> Iterator[str]:
        """Yield the text from the cut on."""
        before = self.cut
        for piece in self.pieces():
            if before < len(piece):
                yield piece[before:]
            before = max(0, before - len(piece))


def decode_utf8(content: bytes, source: str) -> str:
    """Return bytes as text, exactly: line ends and a byte-order mark stay as they are.

    Args:
        source: What the bytes were read from, for the error.

    Raises:
        DataError: If they are not UTF-8; names the offset of the first byte that is not.
    """
    return "".join(decode_pieces([content], source))


def decode_pieces(pieces: Iterable[bytes], source: str) -> Iterator[str]:
    """Yield text as `decode_utf8` returns it, from bytes that come in pieces.

    Raises:
        DataError: If they are not UTF-8; names the offset of the first byte that is not.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    for piece, is_last in with_end(pieces):
        waiting = len(decoder.getstate()[0])
        try:
            yield decoder.decode(piece, is_last)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{source}: not UTF-8: byte {error.object[error.start]:#04x} at offset "
                f"{offset - waiting + error.start:,}. Convert the file to UTF-8 first"
            ) from None
        offset += len(piece)


def with_end(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each piece, and an empty one at the end that is marked as the last."""
    for piece in pieces:
        yield piece, False
    yield b"", True
