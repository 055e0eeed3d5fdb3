"""What `auto` and the other choices about the machine in `[train]` come to here."""

from collections.abc import Callable
from typing import TypeVar

import torch

from gptkit.errors import Problem, RecipeError
from gptkit.recipe.resolved import Resolved
from gptkit.tuning.choose_device import Decision, choose_device
from gptkit.tuning.choose_dtype import choose_dtype

Value = TypeVar("Value")


def choose_machine(resolved: Resolved, dtype: str | None = None) -> tuple[Decision[torch.device], Decision[str]]:
    """Return the device and the precision that a recipe is trained on.

    Args:
        dtype: The precision, where an earlier run decided it.

    Raises:
        RecipeError: If the recipe asks for what this machine lacks.
    """
    train, sizes = resolved.train, resolved.sizes
    device = decide("device", resolved, lambda: choose_device(train.device))
    tokens, n_embd = train.batch_size * sizes["block_size"], sizes["n_embd"]
    precision = decide("dtype", resolved, lambda: choose_dtype(dtype or train.dtype, device.value, tokens, n_embd))
    return device, precision


def decide(key: str, resolved: Resolved, choose: Callable[[], Value]) -> Value:
    """Return a choice about the machine.

    Raises:
        RecipeError: If the machine lacks what the recipe asks for; names the key of `[train]`.
    """
    try:
        return choose()
    except ValueError as error:
        raise RecipeError([Problem(resolved.places[f"train.{key}"], f"train.{key}", str(error))]) from None
