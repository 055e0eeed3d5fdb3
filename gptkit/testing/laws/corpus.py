"""Laws of every corpus."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gptkit.errors import DataError
from gptkit.interfaces import Corpus
from gptkit.testing.input import Input
from gptkit.testing.outcome import NotHere

Make = Callable[[], Corpus]
# Characters of a piece and of a line that hardly recur by chance.
PIECE, LINE = 60, 30
# Pieces, and lines, of the validation text that are looked up in the training text.
PIECES = 25


@dataclass(frozen=True, kw_only=True)
class NoCase(Input):
    """A corpus takes no input."""

    def __str__(self) -> str:
        """Return a placeholder: there is no input to describe."""
        return "as it is"


def texts(make: Make) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the pieces of the training and the validation text."""
    try:
        corpus = make()
        yield "training", list(corpus.train())
        yield "validation", list(corpus.validation())
    except DataError as error:
        raise NotHere(f"its text is not available: {error}") from error


def gives_text(make: Make, _: NoCase) -> None:
    """Assert that training and validation text are strings and not empty."""
    for name, pieces in texts(make):
        if wrong := [type(piece).__name__ for piece in pieces if not isinstance(piece, str)]:
            raise AssertionError(f"the {name} text has a piece that is a {wrong[0]}, not a string")
        if not any(pieces):
            raise AssertionError(f"the {name} text is empty")


def gives_the_same_again(make: Make, _: NoCase) -> None:
    """Assert that a second reading gives the same text, from this corpus and from one with the same options."""
    for (name, first), (_name, second) in zip(texts(make), texts(make), strict=True):
        if "".join(first) != "".join(second):
            raise AssertionError(f"another corpus with the same options has another {name} text")
    corpus = make()
    for name, read in (("training", corpus.train), ("validation", corpus.validation)):
        if "".join(read()) != "".join(read()):
            raise AssertionError(f"the {name} text is another when the same corpus is read again")


def keeps_validation_apart(make: Make, _: NoCase) -> None:
    """Assert that most of the validation text does not occur in the training text."""
    read = {name: "".join(pieces) for name, pieces in texts(make)}
    lines = [line for line in read["validation"].splitlines() if len(line) >= LINE]
    for name, pieces in (("pieces", list(evenly_spaced(read["validation"]))), ("lines", lines[:PIECES])):
        found = sum(piece in read["training"] for piece in pieces)
        # Some repetition is natural.
        if 2 * found > len(pieces):
            raise AssertionError(
                f"{found} of {len(pieces)} {name} of the validation text occur in the training text"
            )


def evenly_spaced(text: str) -> Iterator[str]:
    """Yield pieces at even distances over a text."""
    last = max(0, len(text) - PIECE)
    for i in range(PIECES):
        start = last * i // (PIECES - 1)
        yield text[start : start + PIECE]
