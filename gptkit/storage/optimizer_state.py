"""Saves and loads optimizer state as tensors and JSON, without pickle."""

from typing import Any

import torch
from torch import Tensor

from gptkit.errors import CheckpointError


def dump(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return an optimizer's tensors by name, and the rest of its state as JSON that names them.

    Raises:
        CheckpointError: If a value is neither a tensor nor representable in JSON.
    """
    tensors: dict[str, Tensor] = {}
    return tensors, encode(optimizer.state_dict(), "", tensors)


def restore(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], saved: Any) -> None:
    """Load the state that `dump` returned into an optimizer, but keep its own learning rates.

    Raises:
        CheckpointError: If the state is of another optimizer.
    """
    try:
        state = decode(saved, tensors)
        for group, own in zip(state["param_groups"], optimizer.param_groups, strict=True):
            # The saved rate is already scaled by the schedule, which must scale the original one.
            group["lr"] = own["lr"]
        optimizer.load_state_dict(state)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError, RecursionError) as error:
        raise CheckpointError(f"the optimizer's state does not fit the optimizer: {error!r}") from error


def encode(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Return a value as JSON, and put its tensors into `tensors`, where the JSON names them."""
    match value:
        case Tensor():
            tensors[path] = value
            return {"tensor": path}
        case dict():
            pairs = [[key, encode(item, f"{path}.{key}".lstrip("."), tensors)] for key, item in value.items()]
            if all(type(key) in (int, str) for key in value):
                return {"table": pairs}
        case tuple():
            return {"tuple": [encode(item, f"{path}.{i}", tensors) for i, item in enumerate(value)]}
        case list():
            return {"list": [encode(item, f"{path}.{i}", tensors) for i, item in enumerate(value)]}
        case None | bool() | int() | float() | str():
            return value
    raise CheckpointError(
        f"the optimizer's state cannot be saved without a pickle: {path} is a {type(value).__name__}, expected a "
        "tensor, number, text, list or table"
    )


def decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return the value that `encode` encoded."""
    match value:
        case {"tensor": str(name)}:
            return tensors[name]
        case {"table": pairs}:
            return {key: decode(item, tensors) for key, item in pairs}
        case {"tuple": items}:
            return tuple(decode(item, tensors) for item in items)
        case {"list": items}:
            return [decode(item, tensors) for item in items]
        case None | bool() | int() | float() | str():
            return value
    raise ValueError(f"expected a value of the state, found {value!r}")
