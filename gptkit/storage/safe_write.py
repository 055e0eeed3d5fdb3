"""Writes files that are complete or absent, even if the machine crashes while they are written.

Contents are on disk before the file gets its name, and the name is on disk before anything relies on it. Every
operation calls `fault_injection.reach` first, so that tests can fail it or kill the process there.
"""

import os
import stat
from pathlib import Path

from gptkit.storage.fault_injection import reach

PIECE = 1 << 24


def write_file(file: Path, content: bytes) -> None:
    """Write a file and wait until it is on disk."""
    reach("open")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        # In at least two pieces, so that tests can stop after half of any file.
        step = min(PIECE, max(1, -(-len(content) // 2)))
        for start in range(0, len(content), step):
            reach("write")
            write_all(descriptor, content[start : start + step])
        reach("fsync")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes | memoryview) -> None:
    """Write all bytes, though one call may take only some."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def replace_file(file: Path, content: bytes) -> None:
    """Replace a file atomically and wait until that is on disk."""
    beside = file.with_name(f".{file.name}")
    write_file(beside, content)
    rename(beside, file)
    sync_directory(file.parent)


def sync_file(file: Path) -> None:
    """Wait until the contents of a file are on disk."""
    sync(file, os.O_RDONLY)


def sync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on disk."""
    sync(directory, os.O_RDONLY | os.O_DIRECTORY)


def sync(path: Path, flags: int) -> None:
    """Call fsync on a path."""
    reach("fsync")
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(directory: Path) -> None:
    """Make one directory."""
    reach("mkdir")
    directory.mkdir()


def rename(old: Path, new: Path) -> None:
    """Rename a file or a directory; a file replaces an existing one."""
    reach("rename")
    # Not `Path.replace`, so that a test can make it fail.
    os.replace(old, new)  # noqa: PTH105


def remove(path: Path) -> None:
    """Remove a file, or a directory and its contents; links are removed, not followed."""
    if not os.path.lexists(path):
        return
    if stat.S_ISDIR(path.lstat().st_mode):
        for below in sorted(path.iterdir()):
            remove(below)
        reach("remove")
        path.rmdir()
    else:
        reach("remove")
        path.unlink()
