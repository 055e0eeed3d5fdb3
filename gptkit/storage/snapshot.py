"""A copy of everything that training changes, taken between two steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gptkit.errors import NumericsError
from gptkit.storage.optimizer_state import dump


@dataclass(frozen=True)
class Snapshot:
    """Everything that is saved after a step, with tensors copied to the CPU, so that training can go on meanwhile.

    Args:
        state: Everything else that later steps depend on, as JSON.
    """

    step: int
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    state: Mapping[str, Any]


def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> Snapshot:
    """Return a copy of the state of model and optimizer, with the optimizer's other values added to `state`.

    Raises:
        NumericsError: If a weight is not finite, because such a checkpoint is useless.
    """
    weights = {name: copied(tensor) for name, tensor in model.state_dict().items()}
    for name, _ in model.named_parameters():
        if not bool(torch.isfinite(weights[name]).all()):
            raise NumericsError(f"after step {step}: the weight {name} is not finite, and is not saved")
    tensors, table = dump(optimizer)
    copies = {name: copied(tensor) for name, tensor in tensors.items()}
    return Snapshot(step, weights, copies, {"step": step, **state, "optimizer": table})


def copied(tensor: Tensor) -> Tensor:
    """Return a copy on the CPU."""
    return tensor.detach().to("cpu", copy=True).contiguous()
