import re

import pytest
from hypothesis import given, strategies as st

from gptkit.components.tokenizer.char import CharTokenizer


@given(st.text())
def test_ids_are_the_ranks_of_the_code_points(text: str) -> None:
    tokenizer = CharTokenizer([text])
    assert tokenizer.vocab_size == len(set(text))
    assert tokenizer.encode("".join(sorted(set(text)))) == list(range(tokenizer.vocab_size))


def test_the_vocabulary_may_come_from_any_iterable() -> None:
    assert CharTokenizer(iter(["ba", "c"])).encode("abc") == [0, 1, 2]


def test_a_character_outside_the_vocabulary_is_named_with_those_that_are_in_it() -> None:
    message = r"character '!' at position 3 is not in the vocabulary of 4 characters: '\nabc'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CharTokenizer(["\nabc"]).encode("cab!a?")


def test_of_a_large_vocabulary_the_first_characters_are_named() -> None:
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 1300)))
    message = f"is not in the vocabulary of 1,300 characters: {letters[:256]!r} and 1,044 more"
    with pytest.raises(ValueError, match=f"^character 'a' at position 0 {message}$"):
        CharTokenizer([letters]).encode("a")
