"""Output: control characters are escaped on a terminal, and a closed terminal does not end a run."""

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gptkit.registry.loader import Plugins

# Besides C0 and C1: marks that reverse the text direction, and lone surrogates, which cannot be encoded.
INVISIBLE = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000))
CONTROL = (*range(0x20), *range(0x7F, 0xA0), *INVISIBLE)
ESCAPED = {code: ascii(chr(code))[1:-1] for code in CONTROL if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """Return a text with its control characters escaped, such as ESC; newlines and tabs stay."""
    return text.translate(ESCAPED)


def print_text(text: str) -> None:
    """Print a text without a newline: escaped on a terminal, unchanged elsewhere."""
    print(printable(text) if sys.stdout.isatty() else text, end="", flush=True)


def print_error(message: object) -> None:
    """Print a message on standard error."""
    with suppress(OSError):
        print(printable(str(message)), file=sys.stderr)


def close_quietly() -> None:
    """Discard what is still to be written to standard output, after its reader has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class TolerantOutput:
    """Standard output that discards what is written once its reader has gone."""

    def __init__(self) -> None:
        self.is_open = sys.stdout is not None

    def write(self, text: str) -> int:
        """Write a text if there is a reader."""
        self.attempt("write", text)
        return len(text)

    def flush(self) -> None:
        """Flush if there is a reader."""
        self.attempt("flush")

    def attempt(self, method: str, *arguments: str) -> None:
        """Call a method of standard output; if its reader has gone, discard everything from here on."""
        if self.is_open:
            try:
                getattr(sys.stdout, method)(*arguments)
            except (OSError, ValueError):
                self.is_open = False
                close_quietly()

    def __getattr__(self, name: str) -> Any:
        """Delegate everything else to standard output."""
        return getattr(sys.stdout, name)


def warn_of_failures(plugins: "Plugins") -> None:
    """Print a line on standard error for each plugin that did not load."""
    for plugin in plugins.failed:
        print(f"warning: plugin {plugin.title} ({plugin.origin}) does not load: {plugin.failure}", file=sys.stderr)
