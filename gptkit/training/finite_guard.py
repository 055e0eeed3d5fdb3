"""Keeps what is not finite out of the weights, on CUDA without waiting for the device."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class FiniteGuard:
    """Looks at the loss of each step and the norm of its gradients before the step is applied.

    An optimizer that takes PyTorch's `found_inf` leaves the weights alone where that is 1, and decides so on the
    device. With such a one nobody waits: once a step was not finite, none after it is applied, and whoever asks
    later finds all as that step found it.

    Args:
        is_deferred: Whether the optimizer is left to decide on the device; else `check` answers at once.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, device: torch.device, *, is_deferred: bool) -> None:
        self.is_deferred = is_deferred
        # Whether a step was not finite; which was the first; its loss and norm.
        self.found, self.loss, self.norm = (torch.zeros((), device=device) for _ in range(3))
        self.step = torch.zeros((), dtype=torch.int64, device=device)
        if is_deferred:
            marked: Any = optimizer
            marked.found_inf = self.found

    def check(self, step: int, loss: Float[Tensor, ""], norm: Float[Tensor, ""]) -> bool:
        """Look at a step before it is applied, and return whether it is known not to be finite."""
        is_nonfinite = ~(torch.isfinite(loss) & torch.isfinite(norm))
        if not self.is_deferred:
            return bool(is_nonfinite)
        is_first = is_nonfinite & (self.found == 0)
        for kept, now in ((self.step, step), (self.loss, loss), (self.norm, norm)):
            kept.copy_(torch.where(is_first, now, kept))
        self.found.copy_(torch.maximum(self.found, is_nonfinite.to(self.found.dtype)))
        return False

    def first_nonfinite(self) -> tuple[int, float, float] | None:
        """Return which of the steps left to the device was the first not to be finite, its loss and its norm.

        Waits for the device.
        """
        return (int(self.step), float(self.loss), float(self.norm)) if bool(self.found) else None


def can_defer(optimizer: torch.optim.Optimizer, device: torch.device, scaler: torch.amp.GradScaler) -> bool:
    """Return whether steps can be guarded without waiting; not if a loss scaler does that already."""
    takes_found_inf = getattr(optimizer, "_step_supports_amp_scaling", False)
    return device.type == "cuda" and bool(takes_found_inf) and not scaler.is_enabled()
