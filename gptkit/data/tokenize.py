"""Encodes a corpus into token files and takes the fingerprint of its text."""

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
    """An encoded corpus.

    Args:
        characters: Number of characters in both texts together.
        characters_per_token: Of the validation text; converts a loss into bits per character.
        fingerprint: For "training" and "validation", the number of characters and the SHA-256 of the UTF-8.
    """

    train: Integer[Tensor, " N"]
    validation: Integer[Tensor, " M"]
    characters: int
    characters_per_token: float
    fingerprint: dict[str, dict[str, Any]]
    files: list[TokenFile] = field(default_factory=list)

    def train_on(self, device: torch.device) -> Integer[Tensor, " N"]:
        """Return the training tokens, on a CUDA device if they take less than a quarter of its free memory."""
        if device.type != "cuda":
            return self.train
        # CUDA has no kernel that takes elements of a uint16 tensor by index.
        dtype = torch.int32 if self.train.dtype == torch.uint16 else self.train.dtype
        free, _ = torch.cuda.mem_get_info(device)
        return self.train.to(device, dtype) if len(self.train) * dtype.itemsize < free // 4 else self.train

    def release(self) -> None:
        """Drop the page cache of the token files."""
        for file in self.files:
            file.release()

    def check_same(self, before: Any) -> None:
        """Raise DataError, naming what differs, unless the texts have the fingerprint `before`."""
        differences = []
        for name, now in self.fingerprint.items():
            # From a file, which may hold anything.
            earlier = before.get(name) if isinstance(before, dict) else None
            if now != earlier:
                had = earlier if isinstance(earlier, dict) else {}
                differences.append(
                    f"the {name} text has {now['characters']:,} characters and the sha256 {now['sha256'][:16]}…, "
                    f"and it had {had.get('characters')} and {str(had.get('sha256'))[:16]}…"
                )
        if differences:
            raise DataError(f"the corpus is not the one that the run began with: {'; '.join(differences)}")


class Texts:
    """The pieces of one or more texts, read again at each iteration."""

    def __init__(self, *sources: Callable[[], Iterator[str]]) -> None:
        self.sources = sources

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(source() for source in self.sources)


def tokenize(
    corpus: Corpus, make_tokenizer: Callable[[Iterable[str]], Tokenizer], block_size: int
) -> tuple[Tokenizer, TokenData]:
    """Build the tokenizer of a corpus and encode the corpus. Reads the text piece by piece, several times.

    Raises:
        DataError: If the corpus cannot be read, cannot be encoded, or is too small to train on.
    """
    texts = {"training": Texts(corpus.train), "validation": Texts(corpus.validation)}
    whole = Texts(corpus.train, corpus.validation)
    check_distinct(whole)
    fingerprint = {name: fingerprint_of(text, name) for name, text in texts.items()}
    tokenizer = make_tokenizer(whole)
    files = {name: encode(tokenizer, text, name, fingerprint[name]) for name, text in texts.items()}
    for name, file in files.items():
        if len(file) <= block_size:
            raise DataError(
                f"the {name} text is too short: {len(file):,} tokens, and a context of {block_size:,} "
                f"(model.block_size) needs {block_size + 1:,}. Use a longer text, a smaller block_size or another "
                "validation_share"
            )
    train, validation = (file.tokens() for file in files.values())
    lengths = [found["characters"] for found in fingerprint.values()]
    per_token = lengths[1] / len(validation)
    return tokenizer, TokenData(train, validation, sum(lengths), per_token, fingerprint, list(files.values()))


def check_distinct(text: Iterable[str]) -> None:
    """Raise DataError unless the text has two distinct characters."""
    distinct: set[str] = set()
    for piece in text:
        distinct |= set(piece)
        if len(distinct) > 1:
            return
    found = f"only one distinct character, {min(distinct)!r}" if distinct else "no text at all"
    raise DataError(f"the corpus holds {found}: there is nothing to predict")


def fingerprint_of(text: Iterable[str], name: str) -> dict[str, Any]:
    """Return the number of characters of a text and the SHA-256 of its UTF-8; raise DataError if it has none."""
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
    """Encode a text into a token file; raise DataError if it cannot be encoded or differs from its fingerprint."""
    file = TokenFile(tokenizer.vocab_size)

    def append(part: str) -> None:
        try:
            file.append(tokenizer.encode_array(part))
        except ValueError as error:
            raise DataError(f"the {name} text cannot be encoded: {error}") from error

    def encoded_pieces() -> Iterator[str]:
        rest = ""
        for piece in text:
            rest += piece
            if cut := tokenizer.safe_cut(rest):
                append(rest[:cut])
                rest = rest[cut:]
            yield piece
        if rest:
            append(rest)

    if fingerprint_of(encoded_pieces(), name) != fingerprint:
        raise DataError(f"the {name} text changed while it was read: a corpus gives the same text each time")
    return file
