"""Hashes source files, so that nothing is taken from a cache that other code would have measured differently."""

import hashlib
import inspect
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def gptkit_hash() -> str:
    """Return the SHA-256 of gptkit's own files, as they were when this was first asked for."""
    return hash_of(package_files("gptkit"))


def source_hash(part: type) -> str:
    """Return the SHA-256 of the files of a class and its bases, and of the whole package if third-party."""
    package = part.__module__.partition(".")[0]
    files = set() if package == "gptkit" else package_files(package)
    for each in part.__mro__:
        # A class of C, or one defined in no file, has none.
        with suppress(OSError, TypeError):
            files.add(Path(inspect.getsourcefile(each) or ""))
    return hash_of(files)


def package_files(name: str) -> set[Path]:
    """Return the Python files of an imported package; empty for a module that is no package."""
    return {
        file for folder in getattr(sys.modules.get(name), "__path__", ()) for file in Path(folder).rglob("*.py")
    }


def hash_of(files: set[Path]) -> str:
    """Return the SHA-256 of the contents of those files that exist."""
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()
