"""How a plugin offers its parts. This page and `interfaces/` are the whole of what a plugin has to know."""

from collections.abc import Callable

import pluggy

PROJECT = "gptkit"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

# register(name, part): `part` is a class that inherits one of the nine interfaces, which says its kind.
Register = Callable[[str, type], None]


@hookspec
def gptkit_register(register: Register) -> None:
    """Call `register(name, part)` once for every part that the plugin offers."""
