"""The hook by which a plugin offers its parts. A plugin needs only this and the interfaces."""

from collections.abc import Callable

import pluggy

PROJECT = "gptkit"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

# register(name, part): `part` is a class. The interface that it inherits decides its kind.
Register = Callable[[str, type], None]


@hookspec
def gptkit_register(register: Register) -> None:
    """Call `register(name, part)` once for each part that the plugin offers."""
