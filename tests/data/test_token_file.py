"""Tokens on disk: as many bytes as they need, never wrapped, and let go of when they were looked at."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from gptkit.data.token_file import TokenFile
from gptkit.data.tokenize import tokenize
from gptkit.errors import DataError
from tests.data.test_tokenize import Pieces, Upper


@pytest.mark.parametrize(
    ("vocab_size", "dtype"),
    [(2, torch.uint8), (256, torch.uint8), (257, torch.uint16), (1 << 16, torch.uint16), (70_000, torch.int32)],
)
def test_a_token_takes_as_many_bytes_as_the_vocabulary_needs(vocab_size: int, dtype: torch.dtype) -> None:
    file = TokenFile(vocab_size)
    for piece in ([0, 1], [vocab_size - 1], []):
        file.append(np.array(piece, dtype=np.int64))
    tokens = file.tokens()
    assert (tokens.dtype, tokens.tolist(), len(file)) == (dtype, [0, 1, vocab_size - 1], 3)
    file.release()
    assert tokens.tolist() == [0, 1, vocab_size - 1]


@pytest.mark.parametrize("wrong", [-1, 256])
def test_an_id_outside_the_vocabulary_is_refused_and_not_wrapped(wrong: int) -> None:
    message = f"^the tokenizer gave the id {wrong}, and its vocabulary has 256$"
    with pytest.raises(ValueError, match=message):
        TokenFile(256).append(np.array([1, wrong, 2]))


def test_no_name_is_left_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    file = TokenFile(5)
    file.append(np.arange(5))
    assert (list(tmp_path.iterdir()), len(file.tokens())) == ([], 5)


def test_a_directory_that_takes_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    message = (
        f"{tmp_path / 'nowhere'} does not take the tokens: No such file or directory. Set TMPDIR to a directory"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)} with room$"):
        TokenFile(5)


def test_a_corpus_that_changes_while_it_is_read_is_refused() -> None:
    class Fickle(Pieces):
        reads = 0

        def train(self):  # type: ignore[no-untyped-def]
            Fickle.reads += 1
            yield "ABC" * Fickle.reads

    with pytest.raises(DataError) as caught:
        tokenize(Fickle([], ["ABCABC"]), Upper, 2)
    assert str(caught.value) == (
        "the training text changed while it was read: a corpus gives the same text each time"
    )


def test_half_a_character_is_refused() -> None:
    with pytest.raises(DataError, match=r"^the validation text holds U\+D83D, which is half of a character$"):
        tokenize(Pieces(["abc"], ["abc\ud83d"]), Upper, 2)
