"""gptkit: a library of GPT parts. Every part can be swapped, every part is proven, every part is timed."""

import importlib
from typing import TYPE_CHECKING, Any

from gptkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from gptkit.building import build as build
    from gptkit.trained import load as load

__version__ = "0.1.0"
__all__ = ["__version__", "build", "hookimpl", "load"]

# Both need torch, which takes a second or two to import: `gptkit --help` must not wait for it. Neither is called
# what a module is called, which would take its place here as soon as it is imported.
_LAZY = {"build": "gptkit.building", "load": "gptkit.trained"}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first asked for."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gptkit' has no attribute '{name}'")
