"""gptkit: a library of GPT parts. Every part can be swapped, every part is proven, every part is timed."""

import importlib
from typing import TYPE_CHECKING, Any

from gptkit.errors import GptkitError
from gptkit.hookspecs import Register, hookimpl
from gptkit.version import __version__

if TYPE_CHECKING:
    from gptkit.api import build as build, load as load, train as train
    from gptkit.model import GPT as GPT

__all__ = ["GPT", "GptkitError", "Register", "__version__", "build", "hookimpl", "load", "train"]

# These need torch, which takes a second or two to import: `gptkit --help` must not wait for it.
_LAZY = {"GPT": "gptkit.model", "build": "gptkit.api", "load": "gptkit.api", "train": "gptkit.api"}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first asked for."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gptkit' has no attribute '{name}'")
