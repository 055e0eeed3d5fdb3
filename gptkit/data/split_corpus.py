"""The base class of corpora made of one text, whose end is held out for validation; and decoding of UTF-8."""

import codecs
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from typing import Annotated

from pydantic import Field

from gptkit.errors import DataError
from gptkit.interfaces import Corpus


class SplitCorpus(Corpus):
    """A corpus made of one text, whose end is held out for validation. Subclasses define `read`.

    A corpus too large for memory also overrides `pieces`.

    Args:
        validation_share: Share of the characters that is held out, at the end of the text.
    """

    def __init__(self, *, validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1) -> None:
        super().__init__()
        self.validation_share = validation_share

    @abstractmethod
    def read(self) -> str:
        """Return the whole text.

        Raises:
            DataError: If it cannot be read.
        """

    @cached_property
    def text(self) -> str:
        """The whole text, read at the first access."""
        return self.read()

    def pieces(self) -> Iterator[str]:
        """Yield the text in pieces, the same at every call."""
        yield self.text

    @cached_property
    def cut(self) -> int:
        """Number of characters before the validation text."""
        return int(sum(map(len, self.pieces())) * (1 - self.validation_share))

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


def decode_pieces(pieces: Iterable[bytes], source: str) -> Iterator[str]:
    """Decode UTF-8 in pieces, which may split a character. Line ends and a byte-order mark are kept.

    Args:
        source: Where the bytes come from. The error begins with it.

    Raises:
        DataError: If the bytes are not UTF-8; names the first offset that is not.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    for piece, is_last in chain(((piece, False) for piece in pieces), [(b"", True)]):
        pending = len(decoder.getstate()[0])
        try:
            yield decoder.decode(piece, is_last)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{source}: not UTF-8: byte {error.object[error.start]:#04x} at offset "
                f"{offset - pending + error.start:,}. Convert the file to UTF-8 first"
            ) from None
        offset += len(piece)
