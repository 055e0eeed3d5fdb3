"""Laws of how every tokenizer is used: encoding a corpus into arrays, decoding token by token, resuming a run."""

import json
from dataclasses import replace

import numpy as np

from gptkit.decoding.text import decoded
from gptkit.testing.elsewhere import elsewhere, without_files
from gptkit.testing.laws.tokenizer import Make, TextCase, attempted, encoded

# Of letters that no text of a case has.
STRANGE = "\u0416\u0417"

# Words that come again, which a vocabulary of words or of merges holds whole.
WORDS = "one two three two three "


def encode_array_gives_the_same_ids(make: Make, case: TextCase) -> None:
    """Assert that `encode_array` gives the ids of `encode` as an array of integers, and refuses the same texts."""
    tokenizer = make(iter(case.pieces))
    for each in with_its_own_text(case):
        ids, array = encoded(tokenizer, each), attempted(tokenizer.encode_array, each)
        if ids is None or array is None:
            if (ids is None) != (array is None):
                refusing = "encode" if ids is None else "encode_array"
                raise AssertionError(
                    f"of `encode` and `encode_array`, only `{refusing}` refuses the text ({each})"
                )
        elif not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iu":
            raise AssertionError(f"`encode_array` gives {array!r}, not integers with one axis ({each})")
        elif array.tolist() != ids:
            raise AssertionError(f"`encode_array` gives {array.tolist()}, and `encode` gives {ids} ({each})")


def vocabulary_ignores_cuts(make: Make, case: TextCase) -> None:
    """Assert that ids do not depend on where the corpus was cut into pieces when the vocabulary was built."""
    given = [*case.pieces, WORDS]
    whole = "".join(given)
    tokenizer = make(iter(given))
    for pieces in ([whole], list(whole)):
        other = make(iter(pieces))
        for each in (*with_its_own_text(case), replace(case, text=WORDS)):
            if (found := encoded(other, each)) != (ids := encoded(tokenizer, each)):
                raise AssertionError(f"built from {pieces!r}, it encodes to {found}, not to {ids} ({each})")


def safe_cuts_change_nothing(make: Make, case: TextCase) -> None:
    """Assert that cutting a text where `safe_cut` of any of its beginnings allows it does not change its ids."""
    tokenizer = make(iter(case.pieces))
    for each in with_its_own_text(case):
        if (ids := encoded(tokenizer, each)) is None:
            continue
        for end in range(len(each.text) + 1):
            cut = tokenizer.safe_cut(begin := each.text[:end])
            if type(cut) is not int or not 0 <= cut <= end:
                raise AssertionError(f"`safe_cut` of {begin!r} is {cut!r}, not an int from 0 to {end} ({each})")
            parts = [part for part in (each.text[:cut], each.text[cut:]) if part]
            if cut and (found := [i for part in parts for i in tokenizer.encode(part)]) != ids:
                raise AssertionError(f"the ids are {ids}, and {found} if the text is cut at {cut} ({each})")


def decodes_token_by_token(make: Make, case: TextCase) -> None:
    """Assert that text can be decoded token by token, from its start or after a prompt."""
    tokenizer = make(iter(case.pieces))
    for each in with_its_own_text(case):
        ids = encoded(tokenizer, each) or []
        for i in {0, 1, len(ids) // 2}:
            prompt = tokenizer.decode(ids[:i])
            # The first ids need not be those of a text, which a prompt is.
            if i and encoded(tokenizer, replace(case, text=prompt)) != ids[:i]:
                continue
            found = prompt + "".join(decoded(tokenizer, iter(ids[i:]), ids[:i]))
            if ids and found != each.text:
                raise AssertionError(f"its tokens, one by one after the first {i}, give {found!r} ({each})")


def restores_without_files(make: Make, case: TextCase) -> None:
    """Assert that a tokenizer is restored from its JSON alone, without the files from which it was built."""
    tokenizer = make(iter(case.pieces))
    saved, ids = tokenizer.to_json(), encoded(tokenizer, case)
    part = type(tokenizer)
    with without_files(part):
        try:
            found = encoded(part.from_json(saved), case)
        except OSError as error:
            raise AssertionError(f"it needs a file to be restored from its JSON: {error} ({case})") from error
    if found != ids:
        raise AssertionError(f"restored where files are missing, it encodes to {found}, not to {ids} ({case})")


def encoding_changes_nothing(make: Make, case: TextCase) -> None:
    """Assert that encoding any text, at any time, changes neither the vocabulary nor arrays given before."""
    tokenizer = make(iter(case.pieces))
    saved, size = json.dumps(tokenizer.to_json()), tokenizer.vocab_size
    own = replace(case, text="".join(case.pieces))
    arrays = [array for each in (case, own) if (array := attempted(tokenizer.encode_array, each)) is not None]
    before = [array.tolist() for array in arrays]
    with elsewhere(tokenizer, number=len(case.text)):
        for text in (own.text[:1], STRANGE, own.text[::-1], case.text):
            each = replace(case, text=text)
            attempted(tokenizer.encode_array, each)
            encoded(tokenizer, each)
            if json.dumps(tokenizer.to_json()) != saved or tokenizer.vocab_size != size:
                raise AssertionError(f"its vocabulary changes when it encodes {text!r} ({case})")
        ids = [found for each in (case, own) if (found := encoded(tokenizer, each)) is not None]
    if [array.tolist() for array in arrays] != before:
        raise AssertionError(f"an array of ids changes when another text is encoded ({case})")
    if ids != before:
        raise AssertionError(f"the ids of one text are first {before} and later {ids} ({case})")


def with_its_own_text(case: TextCase) -> tuple[TextCase, TextCase]:
    """Return the case, and the same one with the text from which the tokenizer is built as the text to encode."""
    return case, replace(case, text="".join(case.pieces))
