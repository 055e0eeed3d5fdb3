"""Says which plugin an exception came from, with its file and line."""

import inspect
import traceback

import pluggy

from gptkit.errors import PluginError
from gptkit.registry.registry import Entry


def explain(error: BaseException) -> str:
    """Return what an exception says and, unless it is ours, the file and line that raised it."""
    if isinstance(error, PluginError | pluggy.PluginValidationError):
        return " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


def blame(error: Exception, used: list[Entry]) -> str:
    """Return what failed in which part: the one whose file the error passed through last, or else any of them."""
    files = {inspect.getsourcefile(entry.part): entry for entry in used}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if entry := files.get(frame.filename):
            where = f"{frame.filename}:{frame.lineno}"
            return (
                f"{entry.kind} '{entry.name}' of {entry.owner} fails at {where}: {type(error).__name__}: {error}"
            )
    names = ", ".join(f"{entry.kind} '{entry.name}' of {entry.owner}" for entry in used)
    return f"the model fails with {names} in it: {type(error).__name__}: {error}"
