"""Where gptkit keeps, for all runs of a user, what would take long to have again."""

import os
from pathlib import Path


def cache_directory() -> Path:
    """Return `$GPTKIT_CACHE`, or else `gptkit` in the user's cache directory."""
    if own := os.environ.get("GPTKIT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gptkit"


def keep(content: bytes, file: Path) -> None:
    """Write a file beside its place and move it there, so that half a file is never found.

    Raises:
        OSError: If that cannot be done.
    """
    beside = file.with_suffix(f".{os.getpid()}")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        beside.write_bytes(content)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
