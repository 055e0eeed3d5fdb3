"""Messages that say which plugin an exception came from, with file and line."""

import inspect
import traceback

import pluggy

from gptkit.errors import PluginError
from gptkit.registry.registry import Entry


def format_error(error: BaseException) -> str:
    """Return an exception's message and, unless it is ours, its type and the file and line that raised it."""
    if isinstance(error, PluginError | pluggy.PluginValidationError):
        return " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


def format_part_failure(error: Exception, used: list[Entry]) -> str:
    """Return a sentence that names the part whose file is innermost in the traceback, or all if none is in it."""
    names = [f"{entry.kind} '{entry.name}' of {entry.owner}" for entry in used]
    files = {inspect.getsourcefile(entry.part): name for entry, name in zip(used, names, strict=True)}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if name := files.get(frame.filename):
            return f"{name} fails at {frame.filename}:{frame.lineno}: {type(error).__name__}: {error}"
    return f"the model fails with {', '.join(names)} in it: {type(error).__name__}: {error}"
