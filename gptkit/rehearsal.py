"""One pass of a model before a run begins, so that a stranger's part that does not work is found at once."""

import inspect
import traceback

import torch

from gptkit.components import BUILT_INS
from gptkit.errors import PluginError
from gptkit.eval_mode import evaluating
from gptkit.model import GPT
from gptkit.registry import Entry, Registry


def rehearse(model: GPT, registry: Registry) -> None:
    """Run a model over one context of zeros.

    Raises:
        PluginError: If it fails and a part in it comes from a plugin; names the part and the line.
    """
    strangers = [entry for entry in registry if entry.owner not in BUILT_INS]
    used = [entry for entry in strangers if any(type(module) is entry.part for module in model.modules())]
    expected = (1, model.dims.block_size, model.dims.vocab_size)
    try:
        with evaluating(model):
            found = tuple(model(torch.zeros(expected[:2], dtype=torch.long)).shape)
        if found != expected:
            raise ValueError(f"the model gave logits of shape {found}, expected {expected}")
    except Exception as error:
        if not used:
            raise
        raise PluginError(blame(error, used)) from error


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
