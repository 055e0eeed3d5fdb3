import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gptkit.data import SplitCorpus, decode_pieces
from gptkit.errors import DataError
from gptkit.hookspecs import Register, hookimpl

# Bytes read at once: large enough that decoding takes most of the time, small enough for several copies.
PIECE = 1 << 22


class TextCorpus(SplitCorpus):
    """Your own text: a file, every file in a directory, or every file that a glob matches.

    Files are sorted by path and joined by a newline. Directories and globs leave out files whose names begin with
    a dot. Files are UTF-8. Nothing is normalised: a byte-order mark, CR LF and NUL are kept.

    Args:
        path: A file, a directory, or a glob such as `books/**/*.txt`. In a recipe, relative to the recipe.
    """

    def __init__(self, *, path: Path, validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1) -> None:
        super().__init__(validation_share=validation_share)
        self.path = path

    def read(self) -> str:
        """Return the text of all files.

        Raises:
            DataError: If there is no file, or one is unreadable, empty or not UTF-8.
        """
        return "".join(self.pieces())

    def pieces(self) -> Iterator[str]:
        """Yield the text of all files, a few megabytes at a time."""
        for i, file in enumerate(self.files()):
            between = "\n" if i else ""
            for piece in decode_pieces(read_file(file), str(file)):
                yield between + piece
                between = ""

    def files(self) -> list[Path]:
        """Return the files, sorted by path; raise DataError if there is none."""
        if self.path.is_file():
            return [self.path]
        # Escaped, because a directory may be called `books[1]`.
        pattern = f"{glob.escape(str(self.path))}/**/*" if self.path.is_dir() else str(self.path)
        # Not Path.glob, which also walks into hidden directories. glob may find a file twice, hence the set.
        found = {Path(name) for name in glob.glob(pattern, recursive=True)}  # noqa: PTH207
        files = sorted(file for file in found if file.is_file())
        if not files:
            kind = "holds no files" if self.path.is_dir() else "no such file, directory or match of a glob"
            raise DataError(f"{self.path}: {kind}")
        return files


def read_file(file: Path) -> Iterator[bytes]:
    """Yield the content of a file in pieces; raise DataError if it is unreadable or empty."""
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
    register("text", TextCorpus)
