"""Stores tokens on disk: appended while a corpus is encoded, then memory-mapped."""

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

# Not /tmp, which is in memory on many systems.
DISK_TMP = "/var/tmp"
# Bytes per write. Linux caches what is written at once as one unit, and reading one token of it loads all of it.
WRITE_BYTES = 1 << 14


class TokenFile:
    """A temporary file of tokens, deleted with this object. A token takes one, two or four bytes.

    It is in `$TMPDIR`, or else in /var/tmp.

    Raises:
        DataError: If the file cannot be created.
    """

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.dtype = np.dtype(
            np.uint8 if vocab_size <= 1 << 8 else np.uint16 if vocab_size <= 1 << 16 else np.int32
        )
        self.directory = os.environ.get("TMPDIR") or (
            DISK_TMP if os.access(DISK_TMP, os.W_OK) else tempfile.gettempdir()
        )
        self.length = 0
        self.map: mmap.mmap | None = None
        try:
            # Open for as long as this object lives.
            self.file = tempfile.TemporaryFile(dir=self.directory, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise self.data_error(error) from error
        weakref.finalize(self, self.file.close)

    def __len__(self) -> int:
        return self.length

    def append(self, ids: Integer[np.ndarray, " N"]) -> None:
        """Append tokens.

        Raises:
            ValueError: If an id is not in the vocabulary.
            DataError: If they cannot be written, for example because the disk is full.
        """
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < self.vocab_size:
            wrong = int(ids.min()) if ids.min() < 0 else int(ids.max())
            raise ValueError(f"the tokenizer gave the id {wrong}, and its vocabulary has {self.vocab_size:,}")
        try:
            rest = memoryview(ids.astype(self.dtype, copy=False).tobytes())
            while rest:
                rest = rest[self.file.write(rest[:WRITE_BYTES]) :]
        except OSError as error:
            raise self.data_error(error) from error
        self.length += len(ids)

    def tokens(self) -> Integer[Tensor, " N"]:
        """Map the tokens into memory. They stay on disk until they are read."""
        try:
            # torch has no read-only tensors, so map copy-on-write.
            self.map = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_COPY)
        except OSError as error:
            raise self.data_error(error) from error
        # Contexts are drawn anywhere in the text, so reading ahead is wasted.
        self.advise("MADV_RANDOM")
        return torch.from_numpy(np.frombuffer(self.map, dtype=self.dtype))

    def release(self) -> None:
        """Drop the page cache of the token file. Tokens are read from disk again when needed."""
        self.advise("MADV_DONTNEED")

    def advise(self, advice: str) -> None:
        """Advise the kernel about the mapped tokens, if it supports that."""
        if self.map is not None and hasattr(mmap, advice):
            with suppress(OSError):
                self.map.madvise(getattr(mmap, advice))

    def data_error(self, error: OSError) -> DataError:
        """Return the error for a failed access to the file."""
        return DataError(
            f"{self.directory} does not take the tokens: {error.strerror}. Set TMPDIR to a directory with room"
        )
