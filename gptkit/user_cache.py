"""The user's cache directory: downloads and measurements that all runs share."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def cache_directory() -> Path:
    """Return `$GPTKIT_CACHE`, or else `gptkit` in the user's cache directory."""
    if own := os.environ.get("GPTKIT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gptkit"


def file_for(folder: str, key: Mapping[str, Any]) -> Path:
    """Return the file of a folder of the cache that holds what belongs to a key.

    Args:
        key: All that it depends on, in JSON's types.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return cache_directory() / folder / f"{digest[:32]}.json"


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
