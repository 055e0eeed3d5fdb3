"""Saves in a background thread, so that training does not wait for the disk."""

import threading
from collections.abc import Callable

from gptkit.errors import CheckpointError


class BackgroundSaver:
    """Runs one save at a time in a thread; an error is raised by the next call."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self, job: Callable[[], None]) -> None:
        """Start a job, after waiting for the one before it.

        Raises:
            CheckpointError: If the job before failed.
        """
        self.wait()

        def work() -> None:
            try:
                job()
            except BaseException as error:
                self._error = error

        # A daemon, so that a process told to stop at once does not wait for it; dying in mid-save is safe.
        self._thread = threading.Thread(target=work, name="gptkit-saver", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise the error of the last job, if it has ended with one.

        Raises:
            CheckpointError: If the checkpoint could not be written.
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
        """Wait for the current job and raise its error."""
        if self._thread is not None:
            self._thread.join()
        self.check()
