"""Files that are whole or not there, whatever happens to the machine while they are written.

What is written is on the disk before it gets its name, and the name is on the disk before anybody relies on it.
Every operation is announced to `faults`, so that tests can fail or kill the process before each of them.
"""

import os
import stat
from pathlib import Path

from gptkit.storage.fault_injection import reach

PIECE = 1 << 24


def write_file(file: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    reach("open")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        # In two halves at least, so that every file can be caught half written.
        step = min(PIECE, max(1, -(-len(content) // 2)))
        for start in range(0, len(content), step):
            reach("write")
            write_all(descriptor, content[start : start + step])
        reach("fsync")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes | memoryview) -> None:
    """Write bytes, however many the system takes at a time."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def replace_file(file: Path, content: bytes) -> None:
    """Put a file in place of an earlier one, in one move, and wait until that is on the disk."""
    beside = file.with_name(f".{file.name}")
    write_file(beside, content)
    rename(beside, file)
    sync_directory(file.parent)


def sync_file(file: Path) -> None:
    """Wait until what was written to a file is on the disk."""
    sync(file, os.O_RDONLY)


def sync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on the disk."""
    sync(directory, os.O_RDONLY | os.O_DIRECTORY)


def sync(path: Path, flags: int) -> None:
    """Wait until what stands at a path is on the disk."""
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
    """Give a file or a directory another name; a file takes the place of one that is there."""
    reach("rename")
    # The module's own name, so that a test can make it fail.
    os.replace(old, new)  # noqa: PTH105


def remove(path: Path) -> None:
    """Remove a file, or a directory with all that is in it; links are removed, not followed."""
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
