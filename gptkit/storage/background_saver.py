"""Saves in a thread of its own, so that training waits for no disk."""

import threading
from collections.abc import Callable

from gptkit.errors import CheckpointError


class Saver:
    """Does one job of writing at a time while training goes on; a failure is told of at the next chance."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self, job: Callable[[], None]) -> None:
        """Begin a job, after the one before it is done.

        Raises:
            CheckpointError: If the job before failed.
        """
        self.wait()

        def work() -> None:
            try:
                job()
            except BaseException as error:
                self._error = error

        # A daemon: a process that is told to stop now does not wait for it, and every moment is safe to die at.
        self._thread = threading.Thread(target=work, name="gptkit-saver", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what the last job failed with, if it is over and failed.

        Raises:
            CheckpointError: If it could not be written.
        """
        if self._thread is None or self._thread.is_alive():
            return
        self._thread = None
        error, self._error = self._error, None
        if isinstance(error, OSError):
            raise CheckpointError(f"the checkpoint is not saved: {error}") from error
        if error is not None:
            raise error

    def wait(self) -> None:
        """Wait for the job that is under way, and raise what it failed with."""
        if self._thread is not None:
            self._thread.join()
        self.check()
