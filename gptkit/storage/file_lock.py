"""Locks a run directory for its one writer, by a file that names the process."""

import fcntl
import os
from pathlib import Path

from gptkit.errors import UsageError


class Lock:
    """Held until `release` or the end of the process, however it ends.

    The operating system holds the lock, so a file left by a dead process locks nothing.

    Raises:
        UsageError: If another process holds it; names that process.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.descriptor = self.acquire()

    def acquire(self) -> int:
        """Return the locked file descriptor."""
        while True:
            descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(descriptor, 32, 0).strip()
                os.close(descriptor)
                name = f"process {int(owner)}" if owner.isdigit() else "another process"
                raise UsageError(
                    f"{self.file.parent} is being written by {name}: one run has one writer. Wait for it, or stop "
                    "it first"
                ) from None
            if self.is_current(descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                return descriptor
            os.close(descriptor)  # The holder before us removed it between our open and our lock.

    def is_current(self, descriptor: int) -> bool:
        """Return whether the locked file still has its name, so that others find it."""
        try:
            return os.path.samestat(os.fstat(descriptor), self.file.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Remove the file and unlock; a second call does nothing."""
        if self.descriptor >= 0:
            self.file.unlink(missing_ok=True)
            os.close(self.descriptor)
            self.descriptor = -1
