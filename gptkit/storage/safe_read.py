"""Reads untrusted files: regular files only, and up to a size limit."""

import json
import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from gptkit.errors import CheckpointError

# More than any state or vocabulary takes, and small enough to read at once.
LIMIT = 64 << 20
PIECE = 1 << 20


def open_file(file: Path) -> BinaryIO:
    """Open a file that is no link, directory, pipe or device.

    Raises:
        CheckpointError: If it does not exist or is not a regular file.
    """
    try:
        # Non-blocking, because opening a pipe would wait for a writer.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        if file.is_symlink():
            raise CheckpointError(f"{file} cannot be read: it is a link, and a link may lead anywhere") from None
        raise CheckpointError(f"{file} cannot be read: {getattr(error, 'strerror', error)}") from error
    opened = os.fdopen(descriptor, "rb") if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    if opened is None:
        os.close(descriptor)
        raise CheckpointError(f"{file} cannot be read: it is no file")
    return opened


def read_bytes(file: Path, limit: int = LIMIT) -> bytes:
    """Return the contents of a file.

    Raises:
        CheckpointError: If it cannot be read, or is larger than `limit` bytes.
    """
    try:
        with open_file(file) as opened:
            content = opened.read(limit + 1)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise CheckpointError(f"{file} cannot be read: it is larger than {limit:,} bytes")
    return content


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        CheckpointError: If it cannot be read, or holds no JSON object.
    """
    content = read_bytes(file)
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} cannot be read: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{file} cannot be read: expected an object, found {type(value).__name__}")
    return value


def digest(file: Path) -> tuple[int, str]:
    """Return a file's size in bytes and its SHA-256.

    Raises:
        CheckpointError: If it cannot be read.
    """
    found, size = sha256(), 0
    try:
        with open_file(file) as opened:
            while piece := opened.read(PIECE):
                found.update(piece)
                size += len(piece)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}") from error
    return size, found.hexdigest()
