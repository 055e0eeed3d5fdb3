"""What is sent to a terminal: no control character that a model or a file chose, and never a failure."""

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from gptkit.registry.loader import Plugins

# Besides C0 and C1: what turns the direction of a line, and lone halves of characters, which cannot be encoded.
UNSEEN = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000))
ESCAPED = {
    code: ascii(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0), *UNSEEN) if chr(code) not in "\n\t"
}


def printable(text: str) -> str:
    """Return a text with its control characters written out, such as ESC as four; newlines and tabs stay."""
    return text.translate(ESCAPED)


def write(text: str) -> None:
    """Write a text to standard output: exactly, unless that is a terminal."""
    if sys.stdout.isatty():
        text = printable(text)
    sys.stdout.write(text)
    sys.stdout.flush()


def complain(message: object) -> None:
    """Print a message on standard error."""
    with suppress(OSError):
        print(printable(str(message)), file=sys.stderr)


def close_quietly() -> None:
    """Send to nowhere what is still to be written to standard output, after whoever read it has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class Patient:
    """Standard output that goes on when nobody reads it any more."""

    def __init__(self) -> None:
        self.is_open = sys.stdout is not None

    def write(self, text: str) -> int:
        """Write a text, if anybody reads."""
        if self.is_open:
            try:
                sys.stdout.write(text)
            except (OSError, ValueError):
                self.give_up()
        return len(text)

    def flush(self) -> None:
        """Send what was written."""
        if self.is_open:
            try:
                sys.stdout.flush()
            except (OSError, ValueError):
                self.give_up()

    def give_up(self) -> None:
        """Write no more."""
        self.is_open = False
        close_quietly()

    def __getattr__(self, name: str) -> Any:
        """Be standard output in all else."""
        return getattr(sys.stdout, name)


def patient_console() -> "Console":
    """Return a console for a run: it outlives its terminal."""
    from rich.console import Console

    return Console(file=Patient(), highlight=False, markup=False, emoji=False, soft_wrap=True)  # type: ignore[arg-type]


def warn_of_failures(plugins: "Plugins") -> None:
    """Print a line on standard error for each plugin that did not load."""
    for plugin in plugins.failed:
        print(f"warning: plugin {plugin.title} ({plugin.origin}) does not load: {plugin.failure}", file=sys.stderr)
