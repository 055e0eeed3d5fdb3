"""Text from files of one's own."""

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gptkit.data import SplitCorpus, decode_pieces
from gptkit.errors import DataError
from gptkit.hookspecs import Register, hookimpl

# Large enough that decoding takes most of the time, small enough to hold many copies of.
PIECE = 1 << 22


class TextCorpus(SplitCorpus):
    """The text of a file, of every file in a directory, or of every file that a glob matches.

    Files are read in the order of their paths and joined by a newline; those whose names begin with a dot
    are left out of directories and globs. A file is UTF-8, and every character of it counts: a byte-order mark,
    CR LF and NUL are characters like any other, and nothing is normalised.

    Args:
        path: A file, a directory, or a glob such as `books/**/*.txt`. In a recipe, relative to the recipe.
    """

    def __init__(self, *, path: Path, validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1) -> None:
        super().__init__(validation_share=validation_share)
        self.path = path

    def read(self) -> str:
        """Return the text of all the files.

        Raises:
            DataError: If there are none, or one is unreadable, empty or not UTF-8.
        """
        return "".join(self.pieces())

    def pieces(self) -> Iterator[str]:
        """Yield the text of all the files, a few megabytes at a time."""
        for i, file in enumerate(self.files()):
            between = "\n" if i else ""
            for piece in decode_pieces(read_file(file), str(file)):
                yield between + piece
                between = ""

    def files(self) -> list[Path]:
        """Return the files, in the order they are read."""
        if self.path.is_file():
            return [self.path]
        # A directory may have a name that a glob would read otherwise, such as `books[1]`.
        pattern = f"{glob.escape(str(self.path))}/**/*" if self.path.is_dir() else str(self.path)
        # Not Path.glob: it would walk into hidden directories. It may find a file twice: hence the set.
        found = {Path(name) for name in glob.glob(pattern, recursive=True)}  # noqa: PTH207
        files = sorted(file for file in found if file.is_file())
        if not files:
            kind = "holds no files" if self.path.is_dir() else "no such file, directory or match of a glob"
            raise DataError(f"{self.path}: {kind}")
        return files


def read_file(file: Path) -> Iterator[bytes]:
    """Yield what is in a file, in pieces."""
    try:
        with file.open("rb") as opened:
            if not (piece := opened.read(PIECE)):
                raise DataError(f"{file}: the file is empty")
            while piece:
                yield piece
                piece = opened.read(PIECE)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `text`."""
    register("text", TextCorpus)
