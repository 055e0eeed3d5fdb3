"""Keeps third-party code from hanging a check and from printing into its report."""

import io
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType


class TookTooLong(BaseException):
    """Code exceeded its time limit. Not an Exception, which that code might catch.

    Args:
        where: The innermost line that was running in the file in question, or the empty string.
    """

    def __init__(self, seconds: float, where: str) -> None:
        super().__init__(f"it takes longer than {seconds:g} seconds{where}")


@contextmanager
def at_most(seconds: float, file: str) -> Iterator[None]:
    """Stop the code inside once it exceeds a time limit.

    Needs POSIX timers and the main thread; elsewhere there is no limit.

    Args:
        file: The file whose running line the error names.

    Raises:
        TookTooLong: If the limit is exceeded.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, frame: FrameType | None) -> None:
        lines = [each.lineno for each in traceback.extract_stack(frame) if each.filename == file]
        raise TookTooLong(seconds, f" ({file}:{lines[-1]})" if lines else "")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Listener(io.TextIOBase):
    """Replaces standard output: passes text on to standard error, and keeps the first text with its line."""

    def __init__(self, file: str) -> None:
        self.file = file
        # What a line of the file printed first, and the number of that line.
        self.first: tuple[str, int] | None = None

    def write(self, text: str) -> int:
        """Pass text on to standard error; keep it if it is the first that the file prints."""
        lines = [frame.lineno for frame in traceback.extract_stack() if frame.filename == self.file]
        if self.first is None and text.strip() and lines:
            self.first = (text.strip(), lines[-1] or 0)
        return sys.stderr.write(text)


@contextmanager
def listening(file: str) -> Iterator[Listener]:
    """Record what a file prints, and send it to standard error."""
    listener = Listener(file)
    with redirect_stdout(listener):
        yield listener
