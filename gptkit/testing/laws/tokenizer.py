"""Laws of every tokenizer."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from gptkit.interfaces import Tokenizer
from gptkit.testing.input import Input

Make = Callable[[Iterable[str]], Tokenizer]
Ids = TypeVar("Ids")


@dataclass(frozen=True, kw_only=True)
class TextCase(Input):
    """Text to build a tokenizer from, and text to encode.

    Args:
        pieces: The text that the tokenizer is built from.
        text: The text to encode.
    """

    pieces: tuple[str, ...] = ("ab", "c")
    text: str = "abc"

    def __str__(self) -> str:
        """Return both texts, quoted."""
        return f"built from {self.pieces!r}, encoding {self.text!r}"


def encoded(tokenizer: Tokenizer, case: TextCase) -> list[int] | None:
    """Return the ids of the text, or None if the tokenizer refuses it by a ValueError with a reason."""
    return attempted(tokenizer.encode, case)


def attempted(encode: Callable[[str], Ids], case: TextCase) -> Ids | None:
    """Return what a function gives for the text, or None if it refuses it by a ValueError with a reason."""
    try:
        return encode(case.text)
    except ValueError as refusal:
        if not str(refusal).strip():
            raise AssertionError(f"it refuses a text without a reason ({case})") from refusal
        return None
    except Exception as error:
        raise AssertionError(
            f"it refuses a text by {type(error).__name__}, not by a ValueError with a reason ({case})"
        ) from error


def refuses_clearly(make: Make, case: TextCase) -> None:
    """Assert that text that cannot be encoded is refused by a ValueError with a reason."""
    encoded(make(iter(case.pieces)), case)


def round_trips(make: Make, case: TextCase) -> None:
    """Assert that decoding the encoded text gives the text back."""
    tokenizer = make(iter(case.pieces))
    ids = encoded(tokenizer, case)
    if ids is not None and (found := tokenizer.decode(ids)) != case.text:
        raise AssertionError(f"decoding what was encoded gives {found!r} ({case})")


def encodes_its_own_text(make: Make, case: TextCase) -> None:
    """Assert that each piece of the text that it was built from is encoded and decoded unchanged."""
    tokenizer = make(iter(case.pieces))
    for piece in case.pieces:
        try:
            found = tokenizer.decode(tokenizer.encode(piece))
        except ValueError as error:
            raise AssertionError(f"it refuses {piece!r}, from which it was built: {error} ({case})") from error
        if found != piece:
            raise AssertionError(f"{piece!r}, from which it was built, comes back as {found!r} ({case})")


def ids_are_in_the_vocabulary(make: Make, case: TextCase) -> None:
    """Assert that ids are ints from 0 to `vocab_size` - 1."""
    tokenizer = make(iter(case.pieces))
    for i in encoded(tokenizer, case) or []:
        if type(i) is not int or not 0 <= i < tokenizer.vocab_size:
            raise AssertionError(f"the id {i!r} is not an int from 0 to {tokenizer.vocab_size - 1} ({case})")


def every_id_is_text(make: Make, case: TextCase) -> None:
    """Assert that each id decodes to a string by itself, and no ids decode to the empty string."""
    tokenizer = make(iter(case.pieces))
    for ids in ([], *([i] for i in range(min(tokenizer.vocab_size, 1000)))):
        if not isinstance(found := tokenizer.decode(ids), str):
            raise AssertionError(f"decoding {ids} gives {found!r}, not text ({case})")
    if found := tokenizer.decode([]):
        raise AssertionError(f"decoding no ids gives {found!r} ({case})")


def json_round_trips(make: Make, case: TextCase) -> None:
    """Assert that a tokenizer restored from its JSON encodes and decodes the same."""
    tokenizer = make(iter(case.pieces))
    try:
        saved = json.loads(json.dumps(tokenizer.to_json(), ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"`to_json` returns values that JSON does not have: {error} ({case})") from error
    other = type(tokenizer).from_json(saved)
    if other.vocab_size != tokenizer.vocab_size:
        raise AssertionError(
            f"restored from JSON it has {other.vocab_size} tokens, not {tokenizer.vocab_size} ({case})"
        )
    ids = encoded(tokenizer, case)
    if (found := encoded(other, case)) != ids:
        raise AssertionError(f"restored from JSON it encodes to {found}, not to {ids} ({case})")
    if ids is not None and (text := other.decode(ids)) != tokenizer.decode(ids):
        raise AssertionError(f"restored from JSON it decodes to {text!r} ({case})")


def is_a_function_of_the_text(make: Make, case: TextCase) -> None:
    """Assert that a text has the same ids each time, whatever is encoded or built in between."""
    first, second = make(iter(case.pieces)), make(list(case.pieces))
    ids = encoded(first, case)
    make(["another text, of other letters: \u0416\u0417"])
    for each in (first, second):
        encoded(each, replace(case, text="".join(reversed("".join(case.pieces)))))
        if (found := encoded(each, case)) != ids:
            raise AssertionError(f"the ids of one text are first {ids} and later {found} ({case})")
    if ids is not None and (text := first.decode(ids)) != case.text:
        raise AssertionError(f"after another tokenizer was built, the ids decode to {text!r} ({case})")
