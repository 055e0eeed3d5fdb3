"""Tokens on disk rather than in memory: appended as they are made, then mapped."""

import mmap
import os
import tempfile
import weakref
from contextlib import suppress

import numpy as np
import torch
from jaxtyping import Integer
from torch import Tensor

from gptkit.errors import DataError

# Not /tmp, which is kept in memory on many systems.
ROOMY = "/var/tmp"
# Linux keeps what is written at once together, and to look at one token of it brings all into memory.
PIECE = 1 << 14


class TokenFile:
    """A file without a name, which is gone with whoever opened it.

    It is in `$TMPDIR`, or else in /var/tmp. A token takes one, two or four bytes, as the vocabulary needs.
    """

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.dtype = np.dtype(
            np.uint8 if vocab_size <= 1 << 8 else np.uint16 if vocab_size <= 1 << 16 else np.int32
        )
        self.directory = os.environ.get("TMPDIR") or (
            ROOMY if os.access(ROOMY, os.W_OK) else tempfile.gettempdir()
        )
        self.length = 0
        self.map: mmap.mmap | None = None
        try:
            # Open as long as this object lives.
            self.file = tempfile.TemporaryFile(dir=self.directory, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise self.refusal(error) from error
        weakref.finalize(self, self.file.close)

    def __len__(self) -> int:
        return self.length

    def append(self, ids: Integer[np.ndarray, " N"]) -> None:
        """Append tokens.

        Raises:
            ValueError: If one is not in the vocabulary.
            DataError: If there is no room for them.
        """
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < self.vocab_size:
            wrong = int(ids.min()) if ids.min() < 0 else int(ids.max())
            raise ValueError(f"the tokenizer gave the id {wrong}, and its vocabulary has {self.vocab_size:,}")
        try:
            rest = memoryview(ids.astype(self.dtype, copy=False).tobytes())
            while rest:
                rest = rest[self.file.write(rest[:PIECE]) :]
        except OSError as error:
            raise self.refusal(error) from error
        self.length += len(ids)

    def tokens(self) -> Integer[Tensor, " N"]:
        """Return all tokens, which stay on disk until they are looked at."""
        try:
            # A copy only where it is written to, which nobody does: torch knows no tensor that cannot be.
            self.map = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_COPY)
        except OSError as error:
            raise self.refusal(error) from error
        # What is looked at is anywhere in the text: its neighbours need not come with it.
        self.advise("MADV_RANDOM")
        return torch.from_numpy(np.frombuffer(self.map, dtype=self.dtype))

    def release(self) -> None:
        """Let go of the memory that tokens were read into; they are read again when they are looked at again."""
        self.advise("MADV_DONTNEED")

    def advise(self, advice: str) -> None:
        """Tell the system what to do with the mapped tokens, where it listens."""
        if self.map is not None and hasattr(mmap, advice):
            with suppress(OSError):
                self.map.madvise(getattr(mmap, advice))

    def refusal(self, error: OSError) -> DataError:
        """Return what to say where there is no room."""
        return DataError(
            f"{self.directory} does not take the tokens: {error.strerror}. Set TMPDIR to a directory with room"
        )
