"""Laws of every corpus."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gptkit.errors import DataError
from gptkit.interfaces import Corpus
from gptkit.testing.input import Input
from gptkit.testing.outcome import NotHere

Make = Callable[[], Corpus]
# Long enough to say that a text was seen before.
PIECE, LINE = 60, 30
PIECES = 25


@dataclass(frozen=True, kw_only=True)
class NoCase(Input):
    """A corpus is given nothing."""

    def __str__(self) -> str:
        """Return nothing to say."""
        return "as it is"


def texts(make: Make) -> Iterator[tuple[str, list[str]]]:
    """Yield the pieces of both texts, each with its name."""
    try:
        corpus = make()
        yield "training", list(corpus.train())
        yield "validation", list(corpus.validation())
    except DataError as error:
        raise NotHere(f"its text cannot be had: {error}") from error


def gives_text(make: Make, _: NoCase) -> None:
    """Assert that both texts are strings, and neither is empty."""
    for name, pieces in texts(make):
        if wrong := [type(piece).__name__ for piece in pieces if not isinstance(piece, str)]:
            raise AssertionError(f"the {name} text has a piece that is a {wrong[0]}, not a string")
        if not any(pieces):
            raise AssertionError(f"the {name} text is empty")


def gives_the_same_again(make: Make, _: NoCase) -> None:
    """Assert that a second reading gives the same text, of one corpus and of another with the same options."""
    for (name, first), (_name, second) in zip(texts(make), texts(make), strict=True):
        if "".join(first) != "".join(second):
            raise AssertionError(f"the {name} text is another the second time it is read")
    corpus = make()
    for name, read in (("training", corpus.train), ("validation", corpus.validation)):
        if "".join(read()) != "".join(read()):
            raise AssertionError(f"the {name} text is another the second time one corpus is asked for it")


def keeps_validation_apart(make: Make, _: NoCase) -> None:
    """Assert that hardly a piece of the validation text stands in the training text."""
    read = {name: "".join(pieces) for name, pieces in texts(make)}
    lines = [line for line in read["validation"].splitlines() if len(line) >= LINE]
    for name, pieces in (("pieces", list(spread(read["validation"]))), ("lines", lines[:PIECES])):
        found = sum(piece in read["training"] for piece in pieces)
        # A text may repeat itself, but not for the most part.
        if 2 * found > len(pieces):
            raise AssertionError(
                f"{found} of {len(pieces)} {name} of the validation text stand in the training text"
            )


def spread(text: str) -> Iterator[str]:
    """Yield pieces spread evenly over a text."""
    last = max(0, len(text) - PIECE)
    for i in range(PIECES):
        start = last * i // (PIECES - 1)
        yield text[start : start + PIECE]
