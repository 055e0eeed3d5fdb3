"""The parts to check: found in the registry by type, so that nobody keeps a list."""

from typing import Any

from gptkit.plugins import Plugins
from gptkit.registry import Registry


# Any, because no annotation takes an abstract class such as `Attention` and gives its subclasses.
def registered(interface: type, registry: Registry | None = None) -> dict[str, Any]:
    """Return the registered classes that inherit a class, by name.

    Args:
        registry: Where to look; that of the built-in parts and the installed plugins by default.
    """
    registry = Plugins().registry if registry is None else registry
    return {entry.name: entry.part for entry in registry if issubclass(entry.part, interface)}
