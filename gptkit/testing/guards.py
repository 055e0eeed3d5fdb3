"""Keeps a stranger's code from hanging a check and from writing into its report."""

import io
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType


class TookTooLong(BaseException):
    """Code took longer than it was given. No Exception, which the code itself might catch.

    Args:
        where: The innermost line of the file in question that was running.
    """

    def __init__(self, seconds: float, where: str) -> None:
        super().__init__(f"it takes longer than {seconds:g} seconds{where}")


@contextmanager
def at_most(seconds: float, file: str) -> Iterator[None]:
    """Stop what is inside if it takes longer.

    It needs POSIX's timer and the main thread; elsewhere nothing is stopped.

    Args:
        file: Whose running line is told.

    Raises:
        TookTooLong: If it does.
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
    """Stands for standard output: passes text on to standard error, and keeps the first with its line."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.first: tuple[str, int] | None = None

    def write(self, text: str) -> int:
        """Keep where the text was printed, and pass it on."""
        lines = [frame.lineno for frame in traceback.extract_stack() if frame.filename == self.file]
        if self.first is None and text.strip() and lines:
            self.first = (text.strip(), lines[-1] or 0)
        return sys.stderr.write(text)


@contextmanager
def listening(file: str) -> Iterator[Listener]:
    """Listen to what a file prints, and keep it from standard output."""
    listener = Listener(file)
    with redirect_stdout(listener):
        yield listener
