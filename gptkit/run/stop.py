"""Asks a run to stop: the first signal lets the step finish and saves, the second stops at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """The request to stop, which a run checks after each step.

    As a context it handles Ctrl+C and SIGTERM: the first asks the run to stop, the second interrupts what is
    running, and after that the signals do what they did before.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.is_now = False
        self._is_breakable = False
        self._earlier: dict[int, Any] = {}

    @property
    def is_asked(self) -> bool:
        """Whether the run was asked to stop."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """Exit code of a process that this signal ended: 130 after Ctrl+C, 143 after SIGTERM."""
        return 128 + (self.signal or signal.SIGINT)

    def ask(self, number: int = signal.SIGINT, frame: FrameType | None = None) -> None:
        """Ask the run to stop.

        Raises:
            KeyboardInterrupt: If it was asked before, or is in a `breakable` context.
        """
        self.is_now = self.is_asked
        self.signal = number
        if self.is_now:
            self.restore_handlers()
        if self.is_now or self._is_breakable:
            self._is_breakable = False
            raise KeyboardInterrupt

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Let the first request already interrupt the context, because its work can be repeated.

        Raises:
            KeyboardInterrupt: If the run was asked before.
        """
        if self.is_asked:
            raise KeyboardInterrupt
        self._is_breakable = True
        try:
            yield
        finally:
            self._is_breakable = False

    def __enter__(self) -> "Stop":
        """Handle the signals, if this is the main thread: Python allows handlers in no other."""
        if threading.current_thread() is threading.main_thread():
            self._earlier = {number: signal.signal(number, self.ask) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the handlers."""
        self.restore_handlers()

    def restore_handlers(self) -> None:
        """Restore the signal handlers of before."""
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        self._earlier = {}
