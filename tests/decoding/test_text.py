import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import pytest
import torch
from hypothesis import example, given, strategies as st
from torch import Tensor
from torch.nn import functional as F

from gptkit.components.tokenizer.byte import ByteTokenizer
from gptkit.components.tokenizer.char import CharTokenizer
from gptkit.decoding.decoder import LanguageModel
from gptkit.decoding.text import decoded, default_prompt, stream_text, until
from gptkit.interfaces import LayerCache
from tests.small import small_dims, small_model
from tests.testing.right_parts import SpacedTokenizer

BYTE, CHAR = ByteTokenizer([]), CharTokenizer(["\nabcdefghij"])


class Parrot(LanguageModel):
    """Says one text after any prompt of one token."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.dims = small_dims(vocab_size=256, block_size=1000)
        self.says = torch.nn.Parameter(torch.tensor([*BYTE.encode(text), 0]).float())

    def forward(
        self, tokens: Tensor, start_pos: int | Tensor = 0, caches: Sequence[LayerCache] | None = None
    ) -> Tensor:
        following = self.says[torch.arange(tokens.shape[1]) + start_pos].long()
        return 1e4 * F.one_hot(following, 256).float().expand(tokens.shape[0], -1, -1)

    def new_caches(self, batch_size: int) -> list[LayerCache]:
        return []


def says(text: str, max_new_tokens: int | None = None, **options: Any) -> list[str]:
    length = len(BYTE.encode(text)) if max_new_tokens is None else max_new_tokens
    return list(stream_text(Parrot(text), BYTE, "?", length, seed=0, **options))


def writes(prompt: str = "a", max_new_tokens: int = 20, **options: Any) -> str:
    return "".join(stream_text(small_model(std=0.5), CHAR, prompt, max_new_tokens, **{"seed": 0} | options))


@given(st.text(max_size=30))
def test_pieces_make_up_the_text_and_no_character_is_split(text: str) -> None:
    pieces = list(decoded(BYTE, iter(BYTE.encode(text))))
    assert pieces == list(text)


@given(st.lists(st.sampled_from([b"a", b"\xff", b"\xf0\x9f", "€".encode(), "😀".encode()])).map(b"".join))
@example(b"\xff\xff" + "€".encode())
def test_pieces_make_up_what_all_tokens_decode_to(content: bytes) -> None:
    assert "".join(decoded(BYTE, iter(content))) == BYTE.decode(list(content))


def test_spaces_that_decoding_drops_at_the_start_are_kept() -> None:
    spaced = SpacedTokenizer(["to be, or not"])
    ids = spaced.encode("to be, or not")
    assert [spaced.decode([i]) for i in ids] == ["to", "be", ",", "or", "not"]
    assert list(decoded(spaced, iter(ids))) == ["to", " be", ",", " or", " not"]
    assert list(decoded(spaced, iter(ids[1:]), ids[:1])) == [" be", ",", " or", " not"]


@given(st.lists(st.sampled_from(["a", " ", " b", "\n"]), min_size=2, max_size=12), st.integers(0, 12))
def test_blanks_in_a_row_are_kept(words: list[str], prompt: int) -> None:
    text = "".join(words)
    spaced = SpacedTokenizer([text])
    ids = spaced.encode(text)
    assert spaced.decode(ids[:prompt]) + "".join(decoded(spaced, iter(ids[prompt:]), ids[:prompt])) == text


def test_a_model_goes_on_after_the_words_of_its_prompt() -> None:
    class Echo(Parrot):
        """Says one token again and again."""

        def __init__(self, token: int) -> None:
            super().__init__("")
            self.says = torch.nn.Parameter(torch.full((100,), float(token)))

    spaced = SpacedTokenizer(["to be"])
    be = spaced.encode("to be")[1]
    assert list(stream_text(Echo(be), spaced, "to", 2, seed=0)) == [" be", " be"]


def test_tokens_are_decoded_as_soon_as_they_can_be() -> None:
    given: list[int] = []

    def tokens() -> Iterator[int]:
        for token in BYTE.encode("a€b"):
            given.append(token)
            yield token

    pieces = decoded(BYTE, tokens())
    assert (next(pieces), len(given)) == ("a", 1)
    assert (next(pieces), len(given)) == ("€", 4)


def test_what_is_left_of_a_character_is_not_lost() -> None:
    assert says("a€", max_new_tokens=3) == ["a", "\ufffd"]


@given(st.text("ab", max_size=12), st.text("ab", min_size=1, max_size=4), st.lists(st.integers(0, 12), max_size=4))
def test_text_ends_before_the_first_stop_however_it_is_cut(text: str, stop: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = (text[start:end] for start, end in pairwise(edges))
    assert "".join(until(pieces, stop)) == text.partition(stop)[0]


def test_text_that_cannot_become_the_stop_is_not_held_back() -> None:
    assert list(islice(until(iter("abcdef"), "xyz"), 2)) == ["a", "b"]


def test_nothing_is_drawn_after_the_stop() -> None:
    def pieces() -> Iterator[str]:
        yield from "ab"
        raise AssertionError("a token too many was drawn")

    assert "".join(until(pieces(), "b")) == "a"


def test_a_model_streams_what_it_writes() -> None:
    assert says("naïve €5 😀") == list("naïve €5 😀")


def test_a_model_stops_where_it_is_told_to() -> None:
    assert "".join(says("To be, or not to be", stop=", or")) == "To be"
    assert "".join(says("To be, or not to be", stop="question")) == "To be, or not to be"


def test_a_model_writes_as_many_tokens_as_asked() -> None:
    assert len(writes(max_new_tokens=7)) == 7
    assert writes(max_new_tokens=0) == ""


def test_the_same_seed_and_number_write_the_same_text() -> None:
    assert writes(seed=1, sample_index=2) == writes(seed=1, sample_index=2)
    assert (
        len({writes(seed=1, sample_index=1), writes(seed=1, sample_index=2), writes(seed=2, sample_index=1)}) == 3
    )


def test_the_callers_random_state_does_not_matter_and_is_left_as_it_was() -> None:
    text = writes()
    torch.rand(3)
    before = torch.get_rng_state()
    assert writes() == text
    assert torch.equal(torch.get_rng_state(), before)


def test_options_of_sampling_are_passed_on() -> None:
    assert (
        writes(temperature=0.0)
        == writes(top_k=1)
        == writes(top_p=1e-9)
        == writes(temperature=0.0, use_cache=False)
    )
    assert writes(temperature=0.0) != writes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": ""}, "the prompt is empty: give at least one character"),
        ({"stop": ""}, "the text to stop at is empty: give at least one character"),
        ({"max_new_tokens": -1}, "the number of tokens must be 0 or more, found -1"),
        ({"temperature": -0.5}, "temperature must be 0 or more and finite, found -0.5"),
        ({"top_k": 0}, "top_k must be 1 or more, found 0"),
        ({"top_p": 2.0}, "top_p must be above 0 and at most 1, found 2.0"),
        (
            {"prompt": "abZ"},
            r"character 'Z' at position 2 is not in the vocabulary of 11 characters: '\nabcdefghij'",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"prompt": "a", "max_new_tokens": 1, "seed": 0} | options
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        stream_text(small_model(), CHAR, **arguments)


def test_the_default_prompt_is_a_newline_or_else_the_first_token() -> None:
    assert default_prompt(CHAR) == default_prompt(BYTE) == "\n"
    assert default_prompt(CharTokenizer(["cab"])) == "a"
