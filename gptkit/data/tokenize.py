"""Turns a corpus into token files, with the fingerprint of its text."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from typing import Any

import torch
from jaxtyping import Integer
from torch import Tensor

from gptkit.data.token_file import TokenFile
from gptkit.errors import DataError
from gptkit.interfaces import Corpus, Tokenizer


@dataclass(frozen=True)
class TokenData:
    """A corpus as tokens.

    Args:
        characters: Number of characters in both texts.
        characters_per_token: Of the validation text, for results in bits per character.
        fingerprint: Of each text, its number of characters and the SHA-256 of its UTF-8.
    """

    train: Integer[Tensor, " N"]
    validation: Integer[Tensor, " M"]
    characters: int
    characters_per_token: float
    fingerprint: dict[str, dict[str, Any]]
    files: list[TokenFile] = field(default_factory=list)

    def train_on(self, device: torch.device) -> Integer[Tensor, " N"]:
        """Return the training text where batches are gathered: on a CUDA device that has room, or as it is."""
        if device.type != "cuda":
            return self.train
        free, _ = torch.cuda.mem_get_info(device)
        return self.train.to(device) if self.train.nbytes < free // 4 else self.train

    def release(self) -> None:
        """Let go of what was read into memory of the tokens, which is on disk."""
        for file in self.files:
            file.release()

    def check_same(self, before: Any) -> None:
        """Raise DataError unless the texts are those of an earlier fingerprint; says what is different."""
        told = [
            f"the {name} text has {now['characters']:,} characters and the sha256 {now['sha256'][:16]}…, and it "
            f"had {earlier.get('characters')} and {str(earlier.get('sha256'))[:16]}…"
            for name, now in self.fingerprint.items()
            if now != (earlier := entry(before, name))
        ]
        if told:
            raise DataError(f"the corpus is not the one that the run began with: {'; '.join(told)}")


class Texts:
    """Pieces of text from one corpus or both its halves, read anew each time they are iterated."""

    def __init__(self, *sources: Callable[[], Iterator[str]]) -> None:
        self.sources = sources

    def __iter__(self) -> Iterator[str]:
        """Yield every piece."""
        return chain.from_iterable(source() for source in self.sources)


def tokenize(
    corpus: Corpus, make_tokenizer: Callable[[Iterable[str]], Tokenizer], block_size: int
) -> tuple[Tokenizer, TokenData]:
    """Return the tokenizer of a corpus and its tokens. The text is read a piece at a time, and several times.

    Raises:
        DataError: If the corpus cannot be had, or there is too little in it to learn from.
    """
    texts = {"training": Texts(corpus.train), "validation": Texts(corpus.validation)}
    check_distinct(Texts(*(source for text in texts.values() for source in text.sources)))
    fingerprint = {name: fingerprint_of(text, name) for name, text in texts.items()}
    tokenizer = make_tokenizer(Texts(corpus.train, corpus.validation))
    files = {name: encode(tokenizer, text, name, fingerprint[name]) for name, text in texts.items()}
    for name, file in files.items():
        if len(file) <= block_size:
            raise DataError(
                f"the {name} text is too short: {len(file):,} tokens, and a context of {block_size:,} "
                f"(model.block_size) needs {block_size + 1:,}. Use a longer text, a smaller block_size or another "
                "validation_share"
            )
    train, validation = (file.tokens() for file in files.values())
    characters = {name: int(found["characters"]) for name, found in fingerprint.items()}
    return tokenizer, TokenData(
        train,
        validation,
        sum(characters.values()),
        characters["validation"] / len(validation),
        fingerprint,
        list(files.values()),
    )


def check_distinct(text: Iterable[str]) -> None:
    """Raise DataError unless there are two characters to tell apart."""
    distinct: set[str] = set()
    for piece in text:
        distinct |= set(piece)
        if len(distinct) > 1:
            return
    found = f"only one distinct character, {min(distinct)!r}" if distinct else "no text at all"
    raise DataError(f"the corpus holds {found}: there is nothing to predict")


def fingerprint_of(text: Iterable[str], name: str) -> dict[str, Any]:
    """Return how many characters a text has and the SHA-256 of its UTF-8."""
    characters, digest = 0, sha256()
    for piece in text:
        characters += len(piece)
        try:
            digest.update(piece.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise DataError(
                f"the {name} text holds U+{ord(piece[error.start]):04X}, which is half of a character"
            ) from None
    return {"characters": characters, "sha256": digest.hexdigest()}


def encode(tokenizer: Tokenizer, text: Iterable[str], name: str, fingerprint: dict[str, Any]) -> TokenFile:
    """Return the tokens of a text, which must be the same as when its fingerprint was taken."""
    file = TokenFile(tokenizer.vocab_size)

    def write() -> Iterator[str]:
        for piece in text:
            try:
                file.append(tokenizer.encode_array(piece))
            except ValueError as error:
                raise DataError(f"the {name} text cannot be encoded: {error}") from error
            yield piece

    if fingerprint_of(write(), name) != fingerprint:
        raise DataError(f"the {name} text changed while it was read: a corpus gives the same text each time")
    return file


def entry(fingerprint: Any, name: str) -> dict[str, Any]:
    """Return what a fingerprint, which may come from a stranger, says of one text."""
    found = fingerprint.get(name) if isinstance(fingerprint, dict) else None
    return found if isinstance(found, dict) else {}
