"""The user's cache directory: downloads and measurements that all runs share."""

import os
from pathlib import Path


def cache_directory() -> Path:
    """Return `$GPTKIT_CACHE`, or else `gptkit` in the user's cache directory."""
    if own := os.environ.get("GPTKIT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gptkit"


def store_file(content: bytes, file: Path) -> None:
    """Write a file atomically: a reader finds the whole file or none.

    Raises:
        OSError: If it cannot be written. An earlier file is then unchanged.
    """
    temporary = file.with_suffix(f".{os.getpid()}")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
