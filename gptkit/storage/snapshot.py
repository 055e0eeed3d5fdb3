"""A copy of all that training changes, taken between two steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gptkit.errors import NumericsError
from gptkit.storage.optimizer_state import dump


@dataclass(frozen=True)
class Snapshot:
    """All that is saved after a step. Its tensors are copies in main memory, so that training may go on.

    Args:
        state: Everything else that the next steps depend on, in JSON's types.
    """

    step: int
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    state: Mapping[str, Any]


def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> Snapshot:
    """Return a copy of the model's and the optimizer's state; `state` gets what of the latter is no tensor.

    Raises:
        NumericsError: If a weight is not finite: such a checkpoint is worth nothing, and none is made.
    """
    weights = {name: copied(tensor) for name, tensor in model.state_dict().items()}
    for name, _ in model.named_parameters():
        if not bool(torch.isfinite(weights[name]).all()):
            raise NumericsError(f"after step {step}: the weight {name} is not finite, and is not saved")
    tensors, table = dump(optimizer)
    copies = {name: copied(tensor) for name, tensor in tensors.items()}
    return Snapshot(step, weights, copies, {"step": step, **state, "optimizer": table})


def copied(tensor: Tensor) -> Tensor:
    """Return a copy in main memory."""
    return tensor.detach().to("cpu", copy=True).contiguous()
