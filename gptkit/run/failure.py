"""Saves what can be saved after an unexpected error and names the plugin at fault."""

from gptkit.errors import NumericsError, PluginError
from gptkit.recipe.resolved import Resolved
from gptkit.registry.blame import format_part_failure
from gptkit.registry.loader import BUILT_INS
from gptkit.registry.registry import Registry
from gptkit.run.session import Session
from gptkit.training.train import HalfApplied
from gptkit.tuning.trial_step import is_out_of_memory, suggestion


def save_and_explain(session: Session, error: Exception) -> Exception:
    """Save the last complete step and return the error to raise in place of an unexpected one."""
    cause, saved = error, "nothing of this step was saved: the optimizer failed halfway"
    if isinstance(error, HalfApplied) and isinstance(error.__cause__, Exception):
        cause = error.__cause__
    else:
        try:
            session.save()
        except NumericsError as numerics:
            return NumericsError(f"{numerics}. {session.last_good()}, and it is as it was")
        session.directory.saver.wait()
        saved = f"saved after step {session.step}"
    if is_out_of_memory(cause):
        prepared = session.prepared
        return PluginError(
            f"step {session.step + 1}: {suggestion(prepared.resolved, prepared.device.value)}; {saved}"
        )
    blame = blamed(cause, session.step + 1, session.prepared.resolved, session.prepared.plugins.registry)
    return PluginError(f"{blame}; {saved}") if blame else cause


def blamed(error: Exception, step: int, resolved: Resolved, registry: Registry) -> PluginError | None:
    """Return an error that names the third-party part that failed, or None if only built-in parts ran.

    Args:
        step: The step in which it failed, counted from 1.
    """
    choices = [*resolved.parts.values(), *(choice for layer in resolved.layers for choice in layer.values())]
    keys = {(choice.kind, choice.name): choice.key for choice in reversed(choices)}
    used = [entry for entry in registry if (entry.kind, entry.name) in keys and entry.owner not in BUILT_INS]
    if not used:
        return None
    message = format_part_failure(error, used)
    named = [entry for entry in used if f"{entry.kind} '{entry.name}' of {entry.owner}" in message]
    where = ", ".join(keys[entry.kind, entry.name] for entry in named)
    return PluginError(f"step {step}: {where}: {message}")
