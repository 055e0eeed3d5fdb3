"""Laws of every corpus."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gptkit.errors import DataError
from gptkit.interfaces import Corpus
from gptkit.testing.applies import NotHere
from gptkit.testing.input import Input

Make = Callable[[], Corpus]


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
    """Assert that the validation text does not stand in the training text."""
    read = {name: "".join(pieces) for name, pieces in texts(make)}
    if read["validation"] in read["training"]:
        raise AssertionError("the validation text stands in the training text")
