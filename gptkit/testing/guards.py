"""Keeps third-party code from hanging a check and from printing into its report."""

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

# By name, because a check puts other clocks into the module.
from time import monotonic, thread_time
from types import FrameType


class TookTooLong(BaseException):
    """Code exceeded its time limit. Not an Exception, which that code might catch."""


@contextmanager
def at_most(seconds: float, file: str) -> Iterator[None]:
    """Stop the code inside once its thread has used so much CPU time, or the process has been idle for so long.

    Not once so much time has passed by the clock: on a busy machine, that says nothing about the code. Needs POSIX
    timers and the main thread; elsewhere there is no limit.

    Args:
        file: The file whose running line the error names.

    Raises:
        TookTooLong: If the limit is exceeded.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    stopwatch = Stopwatch()

    def look(_number: int, frame: FrameType | None) -> None:
        if (used := stopwatch.cpu_seconds()) > seconds:
            told = f"it takes more than {seconds:g} seconds of CPU time"
        elif stopwatch.idle_seconds() > seconds:
            told = f"it waits for more than {seconds:g} seconds, after {used:.1f} of CPU time"
        else:
            return
        lines = [each.lineno for each in traceback.extract_stack(frame) if each.filename == file]
        raise TookTooLong(f"{told} ({file}:{lines[-1]})" if lines else told)

    before = signal.signal(signal.SIGALRM, look)
    every = min(1.0, seconds / 10)
    signal.setitimer(signal.ITIMER_REAL, every, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Stopwatch:
    """Measures the CPU time of the current thread, and for how long the whole process has done nothing."""

    # A process that works gets more than this share of a CPU, however many others there are.
    WORKS = 0.01

    def __init__(self) -> None:
        self.began = thread_time()
        self.worked_at, self.process_seconds = monotonic(), all_cpu_seconds()

    def cpu_seconds(self) -> float:
        """Return the CPU time that the thread has used."""
        return thread_time() - self.began

    def idle_seconds(self) -> float:
        """Return how long ago the process, or a process that it waited for, was last found working."""
        now, used = monotonic(), all_cpu_seconds()
        if used - self.process_seconds > self.WORKS * (now - self.worked_at):
            self.worked_at, self.process_seconds = now, used
        return now - self.worked_at


def all_cpu_seconds() -> float:
    """Return the CPU time of all threads of this process and of the processes that it waited for."""
    return sum(os.times()[:4])


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
