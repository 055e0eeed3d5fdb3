"""How a run is asked to stop: once for after this step, twice for now."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """What a run looks at after each step, and what signals set.

    As a context it takes over Ctrl+C and SIGTERM: the first asks the run to stop, the second interrupts whatever
    is being done, and after that they end the process as they would without us.
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
        """What a process says that ends by this signal: 130 after Ctrl+C, 143 after SIGTERM."""
        return 128 + (self.signal or signal.SIGINT)

    def ask(self, number: int = signal.SIGINT, frame: FrameType | None = None) -> None:
        """Ask the run to stop.

        Raises:
            KeyboardInterrupt: If it was asked before, or is doing what can be broken off.
        """
        self.is_now = self.is_asked
        self.signal = number
        if self.is_now:
            self.give_back()
        if self.is_now or self._is_breakable:
            self._is_breakable = False
            raise KeyboardInterrupt

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Let even the first request interrupt what is done inside, because it can be done again.

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
        """Take over the signals."""
        self._earlier = {number: signal.signal(number, self.ask) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        self.give_back()

    def give_back(self) -> None:
        """Let the signals do what they did before."""
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        self._earlier = {}
