"""Keeps steps with a loss or gradient that is not finite from being applied."""

import torch
from jaxtyping import Float
from torch import Tensor


class FiniteGuard:
    """Keeps steps with a non-finite loss or gradient norm from being applied.

    An optimizer that takes PyTorch's `found_inf` skips its update on the device where that is 1. With such an
    optimizer the host never synchronises: after the first non-finite step the device skips all later updates, so
    the weights stay as they were before that step.

    Args:
        is_deferred: Whether the optimizer decides on the device; if not, `check` synchronises and answers at once.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, device: torch.device, *, is_deferred: bool) -> None:
        self.is_deferred = is_deferred
        # Of the first non-finite step: whether there was one, its loss, its norm and its number.
        self.found, self.loss, self.norm = (torch.zeros((), device=device) for _ in range(3))
        self.step = torch.zeros((), dtype=torch.int64, device=device)
        if is_deferred:
            optimizer.found_inf = self.found  # type: ignore[attr-defined]

    def check(self, step: int, loss: Float[Tensor, ""], norm: Float[Tensor, ""]) -> bool:
        """Check a step before it is applied; return whether it is known to be non-finite."""
        is_nonfinite = ~(torch.isfinite(loss) & torch.isfinite(norm))
        if not self.is_deferred:
            return bool(is_nonfinite)
        is_first = is_nonfinite & (self.found == 0)
        for first, now in ((self.step, step), (self.loss, loss), (self.norm, norm)):
            first.copy_(torch.where(is_first, now, first))
        self.found.copy_(torch.maximum(self.found, is_nonfinite.to(self.found.dtype)))
        return False

    def first_nonfinite(self) -> tuple[int, float, float] | None:
        """Return the first non-finite step, counted from 0, its loss and its norm, if checks are deferred.

        Synchronises with the device.
        """
        return (int(self.step), float(self.loss), float(self.norm)) if bool(self.found) else None


def can_defer(optimizer: torch.optim.Optimizer, device: torch.device, scaler: torch.amp.GradScaler) -> bool:
    """Return whether steps can be checked on the device; an enabled loss scaler sets `found_inf` itself."""
    takes_found_inf = getattr(optimizer, "_step_supports_amp_scaling", False)
    return device.type == "cuda" and bool(takes_found_inf) and not scaler.is_enabled()
