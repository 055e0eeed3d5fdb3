from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from gptkit.components.tokenizer.byte import ByteTokenizer
from gptkit.components.tokenizer.char import CharTokenizer
from gptkit.data.batches import draw_batch
from gptkit.data.token_file import TokenFile
from gptkit.data.tokenize import TokenData, tokenize
from gptkit.errors import DataError
from gptkit.interfaces import Corpus, Tokenizer
from gptkit.registry.templates.tokenizer import MineTokenizer
from tests.testing.right_parts import SpacedTokenizer


class Pieces(Corpus):
    """The pieces of text it is given."""

    def __init__(self, train: Sequence[str], validation: Sequence[str]) -> None:
        self.pieces = train, validation

    def train(self) -> Iterator[str]:
        yield from self.pieces[0]

    def validation(self) -> Iterator[str]:
        yield from self.pieces[1]


class Upper(CharTokenizer):
    """Knows capital letters alone."""

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__(["ABC"])


def tokens_of(
    train: Sequence[str],
    validation: Sequence[str],
    tokenizer: Callable[[Iterable[str]], Tokenizer] = CharTokenizer,
    block_size: int = 2,
) -> TokenData:
    return tokenize(Pieces(train, validation), tokenizer, block_size)[1]


def refusal(*arguments: Any, **named: Any) -> str:
    with pytest.raises(DataError) as caught:
        tokens_of(*arguments, **named)
    return str(caught.value)


def test_pieces_are_joined_and_the_vocabulary_is_of_both_texts() -> None:
    tokenizer, data = tokenize(Pieces(["ab", "c"], ["cd", "", "e"]), CharTokenizer, 2)
    assert tokenizer.vocab_size == 5
    assert tokenizer.decode(data.train.tolist()) == "abc"
    assert tokenizer.decode(data.validation.tolist()) == "cde"
    assert (data.characters, data.characters_per_token) == (6, 1.0)


@pytest.mark.parametrize("tokenizer", [MineTokenizer, SpacedTokenizer])
@given(cuts=st.lists(st.integers(0, 30), max_size=5))
def test_tokens_do_not_depend_on_where_the_text_is_cut(tokenizer: type[Tokenizer], cuts: list[int]) -> None:
    text = "one word, and one more word"
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    expected, found = tokens_of([text], [text], tokenizer), tokens_of(pieces, [text], tokenizer)
    assert torch.equal(found.train, expected.train)


def test_a_text_that_may_be_cut_is_never_held_as_a_whole() -> None:
    class Recording(CharTokenizer):
        lengths: ClassVar[list[int]] = []

        def encode_array(self, text: str) -> Any:
            self.lengths.append(len(text))
            return super().encode_array(text)

    tokens_of(["abc", "de"], ["abcde"], Recording)
    assert Recording.lengths == [3, 2, 5]


def test_characters_per_token_are_those_of_the_validation_text() -> None:
    assert tokens_of(["abc"], ["é€"], ByteTokenizer).characters_per_token == 2 / 5


def test_a_vocabulary_may_have_more_characters_than_two_bytes_count() -> None:
    text = "".join(map(chr, range(0x10000, 0x10000 + 70_000)))
    tokenizer, data = tokenize(Pieces([text], [text]), CharTokenizer, 2)
    assert tokenizer.vocab_size == 70_000
    assert torch.equal(data.train.long(), torch.arange(70_000))
    inputs, targets = draw_batch(data.train, 4, 8, seed=0, step=0)
    assert inputs.dtype == targets.dtype == torch.int64


def test_a_corpus_without_text_is_refused() -> None:
    assert refusal([], [""]) == "the corpus holds no text at all: there is nothing to predict"


def test_a_corpus_of_one_distinct_character_is_refused() -> None:
    assert refusal(["\n\n"], ["\n"]) == (
        r"the corpus holds only one distinct character, '\n': there is nothing to predict"
    )


@pytest.mark.parametrize(
    ("train", "validation", "name"), [("ab" * 700, "ba", "validation"), ("ab", "ba" * 700, "training")]
)
def test_a_text_shorter_than_a_context_and_a_token_is_refused(train: str, validation: str, name: str) -> None:
    assert refusal([train], [validation], block_size=1024) == (
        f"the {name} text is too short: 2 tokens, and a context of 1,024 (model.block_size) needs 1,025. Use a "
        "longer text, a smaller block_size or another validation_share"
    )


def test_a_text_of_one_context_has_no_token_after_it_and_is_refused() -> None:
    assert refusal(["abc"], ["ab"]).startswith("the validation text is too short: 2 tokens, and a context of 2 ")


def test_a_text_of_a_context_and_a_token_is_long_enough() -> None:
    assert len(tokens_of(["abc"], ["cba"]).train) == 3


def test_a_text_without_pieces_is_too_short() -> None:
    assert refusal(["abc"], []).startswith("the validation text is too short: 0 tokens, ")


def test_a_text_that_cannot_be_encoded_is_refused() -> None:
    assert refusal(["ABCABC"], ["ABCa"], Upper) == (
        "the validation text cannot be encoded: character 'a' at position 3 is not in the vocabulary of 3 "
        "characters: 'ABC'"
    )


CUDA = torch.device("cuda")


def of_vocabulary(size: int) -> TokenData:
    text = "".join(map(chr, range(size)))
    return tokens_of([text], [text[:3]])


@pytest.mark.parametrize(("size", "dtype"), [(256, torch.uint8), (257, torch.int32)])
def test_on_cuda_tokens_have_a_dtype_that_can_be_indexed_there(
    size: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, needed = of_vocabulary(size), size * dtype.itemsize
    moved: list[tuple[Any, ...]] = []

    def move(tokens: torch.Tensor, *given: Any) -> torch.Tensor:
        moved.append(given)
        return tokens

    monkeypatch.setattr(torch.Tensor, "to", move)
    for free in (4 * needed, 4 * needed + 4):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, free))
        data.train_on(CUDA)
    # Into the larger memory alone: a quarter of the other is just what they take.
    assert moved == [(CUDA, dtype)]


@pytest.mark.cuda
@pytest.mark.parametrize("size", [256, 257, 66_000])
def test_a_batch_drawn_on_cuda_is_the_one_drawn_on_the_cpu(size: int) -> None:
    tokens = torch.arange(size).to(dtype_of(size))
    data = TokenData(tokens, tokens, 0, 0.0, {})
    on_cuda = draw_batch(data.train_on(CUDA), 3, 5, seed=0, step=0)
    assert on_cuda[0].is_cuda
    on_cpu = draw_batch(data.train_on(torch.device("cpu")), 3, 5, seed=0, step=0)
    assert all(torch.equal(a.cpu(), b) for a, b in zip(on_cuda, on_cpu, strict=True))


def dtype_of(vocab_size: int) -> torch.dtype:
    return torch.from_numpy(np.zeros(0, TokenFile(vocab_size).dtype)).dtype


TOKENS = torch.arange(40, dtype=torch.int32)


@given(st.integers(0, 2**63 - 1), st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 39))
def test_a_batch_depends_on_seed_and_step_alone(seed: int, step: int, rows: int, block_size: int) -> None:
    first = draw_batch(TOKENS, rows, block_size, seed=seed, step=step)
    torch.rand(3)
    again = draw_batch(TOKENS, rows, block_size, seed=seed, step=step)
    assert all(map(torch.equal, first, again))


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 39))
def test_targets_are_the_inputs_shifted_by_one(step: int, rows: int, block_size: int) -> None:
    inputs, targets = draw_batch(TOKENS, rows, block_size, seed=0, step=step)
    assert inputs.shape == targets.shape == (rows, block_size)
    assert torch.equal(targets, inputs + 1)


def test_other_seeds_and_other_steps_give_other_batches() -> None:
    drawn = [draw_batch(TOKENS, 8, 4, seed=seed, step=step)[0] for seed, step in ((0, 0), (0, 1), (1, 0))]
    assert not any(torch.equal(a, b) for a, b in ((drawn[0], drawn[1]), (drawn[0], drawn[2])))


def test_every_start_is_reached_and_none_beyond() -> None:
    inputs, targets = draw_batch(TOKENS, 5000, 30, seed=0, step=0)
    assert set(inputs[:, 0].tolist()) == set(range(10))
    assert int(targets.max()) == 39
