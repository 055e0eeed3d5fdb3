"""Laws of every corpus."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from gptkit.errors import DataError
from gptkit.interfaces import Corpus
from gptkit.registry.signature import options
from gptkit.testing.elsewhere import elsewhere
from gptkit.testing.input import Input
from gptkit.testing.outcome import DoesNotApply, NotHere

Make = Callable[..., Corpus]
# Characters of a piece and of a line that hardly recur by chance.
PIECE, LINE = 60, 30
# With readable text beside it, which shows that a file is read.
NOT_UTF_8 = b"unreadable: \xff\xfe\xff"
HALF = re.compile("[\ud800-\udfff]")
# Characters of each text that are compared for what they share, and the share from which on it is too much.
COMPARED, MOST_SHARED = 20_000_000, 0.04
# Characters of a validation text that are too few to tell, and parts of the training text to compare with it.
SHORT, PARTS = 2_000, 6
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


def shares_little_with_training(make: Make, _: NoCase) -> None:
    """Assert that the validation text has hardly more in common with the training text than that has in itself."""
    read = {name: "".join(pieces)[:COMPARED] for name, pieces in texts(make)}
    training, validation = read["training"], read["validation"]
    if len(validation) < SHORT:
        raise DoesNotApply(f"the validation text is shorter than {SHORT:,} characters, where a few lines decide")
    # What a part of the training text has in common with the rest of it, at most, is natural.
    length = min(len(validation), len(training) // PARTS)
    starts = [(len(training) - length) * i // (PARTS - 1) for i in range(PARTS)]
    natural = max(shared(training[i : i + length], training[:i] + training[i + length :]) for i in starts)
    found = shared(validation, training)
    if found > 2 * natural + MOST_SHARED:
        raise AssertionError(
            f"{found:.0%} of the validation text occurs in the training text, and at most {natural:.0%} of a part "
            "of the training text occurs in the rest of it"
        )


def shared(text: str, other: str) -> float:
    """Return the share of a text that is in lines, or in runs of about two lines, which another text also has."""
    if not text:
        return 0.0
    blocks = {other[i : i + PIECE]: i for i in range(0, len(other) - PIECE + 1, PIECE)}
    i = end = in_runs = 0
    while i + PIECE <= len(text):
        if (at := blocks.get(text[i : i + PIECE])) is None:
            i += 1
            continue
        start, stop, offset = i, i + PIECE, at - i
        while start > end and start + offset > 0 and text[start - 1] == other[start - 1 + offset]:
            start -= 1
        while stop < len(text) and stop + offset < len(other) and text[stop] == other[stop + offset]:
            stop += 1
        in_runs += stop - start
        i = end = stop
    lines = {line for line in other.splitlines() if len(line) >= LINE}
    in_lines = sum(len(line) for line in text.splitlines() if line in lines)
    return max(in_runs, in_lines) / len(text)


def is_unicode(make: Make, _: NoCase) -> None:
    """Assert that no text holds half of a surrogate pair, which is no character and has no UTF-8."""
    for name, pieces in texts(make):
        if half := HALF.search("".join(pieces)):
            raise AssertionError(f"the {name} text holds {half[0]!r}, which is half of a character")


def refuses_broken_files(make: Make, _: NoCase) -> None:
    """Assert that a file with bytes that cannot be decoded is refused by a DataError, or loses none of them."""
    before = {name: "".join(pieces) for name, pieces in texts(make)}
    files = files_of(make())
    if not files:
        raise DoesNotApply("no option of it is a file")
    for name, file in files.items():
        with TemporaryDirectory() as folder:
            content = file.read_bytes()
            broken = Path(folder) / file.name
            broken.write_bytes(content[: len(content) // 2] + NOT_UTF_8 + content[len(content) // 2 :])
            try:
                corpus = make(**{name: broken})
                text = "".join(chain(corpus.train(), corpus.validation()))
            except DataError:
                continue
            except Exception as error:
                raise AssertionError(
                    f"a file that cannot be decoded raises {type(error).__name__}, not a DataError"
                ) from error
            if text != "".join(before.values()) and NOT_UTF_8.decode("latin-1") not in text:
                raise AssertionError("it changes or leaves out what it cannot decode of a file")


def files_of(corpus: Corpus) -> dict[str, Path]:
    """Return the options of a corpus that are files, by name."""
    names = [option.name for option in options(type(corpus)).values() if option.annotation is Path]
    return {name: path for name in names if (path := Path(getattr(corpus, name, ""))).is_file()}


def readings_do_not_disturb_one_another(make: Make, _: NoCase) -> None:
    """Assert that a reading that is given up, or that alternates with another one, changes no text."""
    expected = {name: "".join(pieces) for name, pieces in texts(make)}
    corpus = make()
    next(corpus.train(), None), next(corpus.validation(), None)
    found: dict[str, list[str]] = {"training": [], "validation": []}
    for pieces in zip_longest(corpus.train(), corpus.validation(), fillvalue=""):
        for name, piece in zip(found, pieces, strict=True):
            found[name].append(piece)
    for name, text in expected.items():
        if "".join(found[name]) != text:
            raise AssertionError(f"the {name} text is another when both texts are read piece by piece in turns")


def is_the_same_later(make: Make, _: NoCase) -> None:
    """Assert that the text depends on no clock, process or random state, and on no corpus that was made before."""
    expected = {name: "".join(pieces) for name, pieces in texts(make)}
    with elsewhere(make(), environment=False):
        for name, pieces in texts(make):
            if "".join(pieces) != expected[name]:
                raise AssertionError(f"the {name} text is another at another time, in another process")
