"""One writer: a file that is locked while a process writes beside it, and that names the process."""

import fcntl
import os
from pathlib import Path

from gptkit.errors import UsageError


class Lock:
    """Held from its making to `release`, or to the end of the process, however it ends.

    The system keeps the lock, not the file: one that a dead process left locks nothing.

    Raises:
        UsageError: If another process holds it; names that process.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.descriptor = self.acquire()

    def acquire(self) -> int:
        """Return the file's descriptor, locked."""
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
            if self.is_at_its_place(descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                return descriptor
            os.close(descriptor)  # The holder before removed it between our opening it and our locking it.

    def is_at_its_place(self, descriptor: int) -> bool:
        """Return whether the locked file is the one that others will find."""
        try:
            return os.path.samestat(os.fstat(descriptor), self.file.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Remove the file and give the lock back; a second time is nothing."""
        if self.descriptor >= 0:
            self.file.unlink(missing_ok=True)
            os.close(self.descriptor)
            self.descriptor = -1
