"""Whose part it was that failed while a model was trained, and under which key the recipe chose it."""

from gptkit.components import BUILT_INS
from gptkit.errors import PluginError
from gptkit.registry import Registry
from gptkit.rehearsal import blame
from gptkit.resolved import Resolved


def blamed(error: Exception, step: int, resolved: Resolved, registry: Registry) -> PluginError | None:
    """Return an error that names the stranger's part that failed, or None if only our own were at work.

    Args:
        step: The step in which it failed, counted from 1.
    """
    choices = [*resolved.parts.values(), *(choice for layer in resolved.layers for choice in layer.values())]
    keys = {(choice.kind, choice.name): choice.key for choice in reversed(choices)}
    used = [entry for entry in registry if (entry.kind, entry.name) in keys and entry.owner not in BUILT_INS]
    if not used:
        return None
    told = blame(error, used)
    named = [entry for entry in used if f"{entry.kind} '{entry.name}' of {entry.owner}" in told]
    where = ", ".join(keys[entry.kind, entry.name] for entry in named)
    return PluginError(f"step {step}: {where}: {told}")
