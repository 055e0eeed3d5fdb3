"""One forward pass before a run begins, so that a third-party part that does not work is found at once."""

import torch

from gptkit.errors import PluginError
from gptkit.model import GPT
from gptkit.nn.eval_mode import evaluating
from gptkit.registry.blame import format_part_failure
from gptkit.registry.loader import BUILT_INS
from gptkit.registry.registry import Registry


def smoke_test(model: GPT, registry: Registry) -> None:
    """Run a model on one context of zeros.

    Raises:
        PluginError: If it fails and a part in it comes from a plugin; names the part and the line.
    """
    types = {type(module) for module in model.modules()}
    used = [entry for entry in registry if entry.owner not in BUILT_INS and entry.part in types]
    expected = (1, model.dims.block_size, model.dims.vocab_size)
    try:
        with evaluating(model):
            found = tuple(model(torch.zeros(expected[:2], dtype=torch.long)).shape)
        if found != expected:
            raise ValueError(f"the model gave logits of shape {found}, expected {expected}")
    except Exception as error:
        if not used:
            raise
        raise PluginError(format_part_failure(error, used)) from error
