"""Laws of every tokenizer."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from gptkit.interfaces import Tokenizer
from gptkit.testing.input import Input

Make = Callable[[Iterable[str]], Tokenizer]


@dataclass(frozen=True, kw_only=True)
class TextCase(Input):
    """Text to make a tokenizer from, and text to give it.

    Args:
        pieces: What the tokenizer is made from.
    """

    pieces: tuple[str, ...] = ("ab", "c")
    text: str = "abc"

    def __str__(self) -> str:
        """Return both, as Python writes them."""
        return f"made from {self.pieces!r}, given {self.text!r}"


def encoded(tokenizer: Tokenizer, case: TextCase) -> list[int] | None:
    """Return the ids of the text, or None if the tokenizer refuses it as it should."""
    try:
        return tokenizer.encode(case.text)
    except ValueError as refusal:
        if not str(refusal).strip():
            raise AssertionError(f"it refuses a text without saying what is wrong with it ({case})") from refusal
        return None
    except Exception as error:
        raise AssertionError(
            f"it refuses a text by {type(error).__name__}, not by a ValueError that says what is wrong ({case})"
        ) from error


def refuses_clearly(make: Make, case: TextCase) -> None:
    """Assert that text which cannot be encoded is refused by a ValueError that says why."""
    encoded(make(iter(case.pieces)), case)


def round_trips(make: Make, case: TextCase) -> None:
    """Assert that what is encoded is decoded to the same text."""
    tokenizer = make(iter(case.pieces))
    ids = encoded(tokenizer, case)
    if ids is not None and (found := tokenizer.decode(ids)) != case.text:
        raise AssertionError(f"decoding what was encoded gives {found!r} ({case})")


def encodes_its_own_text(make: Make, case: TextCase) -> None:
    """Assert that the text which a tokenizer is made from comes back from it, piece by piece."""
    tokenizer = make(iter(case.pieces))
    for piece in case.pieces:
        try:
            found = tokenizer.decode(tokenizer.encode(piece))
        except ValueError as error:
            raise AssertionError(f"it refuses {piece!r}, which it was made from: {error} ({case})") from error
        if found != piece:
            raise AssertionError(f"{piece!r}, which it was made from, comes back as {found!r} ({case})")


def ids_are_in_the_vocabulary(make: Make, case: TextCase) -> None:
    """Assert that ids are whole numbers from 0 to below the size of the vocabulary."""
    tokenizer = make(iter(case.pieces))
    for i in encoded(tokenizer, case) or []:
        if type(i) is not int or not 0 <= i < tokenizer.vocab_size:
            raise AssertionError(f"the id {i!r} is none of 0 to {tokenizer.vocab_size - 1} ({case})")


def every_id_is_text(make: Make, case: TextCase) -> None:
    """Assert that each token of the vocabulary can be decoded by itself, as a model may write it, and none too."""
    tokenizer = make(iter(case.pieces))
    for ids in ([], *([i] for i in range(min(tokenizer.vocab_size, 1000)))):
        if not isinstance(found := tokenizer.decode(ids), str):
            raise AssertionError(f"decoding {ids} gives {found!r}, not text ({case})")
    if found := tokenizer.decode([]):
        raise AssertionError(f"decoding no ids gives {found!r} ({case})")


def json_round_trips(make: Make, case: TextCase) -> None:
    """Assert that a tokenizer comes back from JSON the same."""
    tokenizer = make(iter(case.pieces))
    try:
        saved = json.loads(json.dumps(tokenizer.to_json(), ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"what it saves is not JSON: {error} ({case})") from error
    other = type(tokenizer).from_json(saved)
    if other.vocab_size != tokenizer.vocab_size:
        raise AssertionError(f"from JSON it has {other.vocab_size} tokens, not {tokenizer.vocab_size} ({case})")
    ids = encoded(tokenizer, case)
    if (found := encoded(other, case)) != ids:
        raise AssertionError(f"from JSON it encodes to {found}, not to {ids} ({case})")
    if ids is not None and (text := other.decode(ids)) != tokenizer.decode(ids):
        raise AssertionError(f"from JSON it decodes to {text!r} ({case})")


def is_a_function_of_the_text(make: Make, case: TextCase) -> None:
    """Assert that a text has the same ids each time, whatever was asked or made in between."""
    first, second = make(iter(case.pieces)), make(list(case.pieces))
    ids = encoded(first, case)
    make(["another text, of other letters: \u0416\u0417"])
    for each in (first, second):
        encoded(each, replace(case, text="".join(reversed("".join(case.pieces)))))
        if (found := encoded(each, case)) != ids:
            raise AssertionError(f"the same text is {ids} first and {found} then ({case})")
    if ids is not None and (text := first.decode(ids)) != case.text:
        raise AssertionError(f"after another tokenizer was made, its ids are {text!r} ({case})")
