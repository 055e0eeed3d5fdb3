"""Building blocks of optimizers and schedules: AdamW, Muon, several optimizers in one, and linear warm-up."""

import inspect
import math
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from pydantic import NonNegativeInt
from torch import Tensor, nn

from gptkit.interfaces import Schedule

__all__ = ["AdamW", "EagerOptimizer", "Muon", "TogetherOptimizer", "WarmupSchedule"]


class WarmupSchedule(Schedule):
    """Linear warm-up to a factor of 1. Subclasses define what follows.

    Args:
        warmup: Steps of warm-up; fewer than `total`.

    Raises:
        ValueError: If `warmup` is not below `total`.
    """

    def __init__(self, total: int, *, warmup: NonNegativeInt = 0) -> None:
        super().__init__(total)
        if warmup >= total:
            raise ValueError(f"warmup = {warmup} must be below the number of steps, {total}")
        self.total, self.warmup = total, warmup

    @abstractmethod
    def after_warmup(self, progress: float) -> float:
        """Return the factor once `progress`, from 0 to 1, of the steps after the warm-up are done."""

    def __call__(self, step: int) -> float:
        """Return the factor of a step, counted from 0."""
        if step < self.warmup:
            # As in nanoGPT: step 0 already learns, and the first step after the warm-up is at 1.
            return (step + 1) / (self.warmup + 1)
        return self.after_warmup((step - self.warmup) / (self.total - self.warmup))


class EagerOptimizer(torch.optim.Optimizer):
    """Base class of optimizers that are never compiled, and so need no guard against the compiler.

    PyTorch's guard imports the compiler when an optimizer is built, which takes 1.7 s on two CPU cores.
    """

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)


class AdamW(EagerOptimizer, torch.optim.AdamW):
    """`torch.optim.AdamW`, without importing PyTorch's compiler."""

    _unguarded_step = inspect.unwrap(torch.optim.AdamW.step)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Call the closure, if given; take one step; return the closure's loss."""
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return self._unguarded_step(closure)


class TogetherOptimizer(EagerOptimizer):
    """Joins optimizers of disjoint parameters into one `torch.optim.Optimizer`.

    It shares groups and state with its members: schedule, checkpoint and `zero_grad` reach every member through
    it.

    Args:
        optimizers: The members, each with its own parameters.

    Raises:
        ValueError: If a parameter is in two of them.
    """

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.optimizers = optimizers
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        super().__init__([{"params": group["params"]} for group in groups], {})
        # The base class reads and saves `param_groups` and `state`. With the members' own objects in them, all of
        # its methods cover every member.
        self.param_groups = groups
        for optimizer in optimizers:
            self.state.update(optimizer.state)
            optimizer.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Call the closure, if given, once; take one step with each member; return the closure's loss."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the groups and state that `state_dict` returned, and share them with the members again."""
        super().load_state_dict(state_dict)
        groups = iter(self.param_groups)
        for optimizer in self.optimizers:
            optimizer.param_groups = [next(groups) for _ in optimizer.param_groups]
            optimizer.state = self.state


class Muon(EagerOptimizer):
    """Muon, for matrices: each step goes along the momentum with its singular values set to about 1.

    Computes what `torch.optim.Muon` computes with `adjust_lr_fn="match_rms_adamw"`, but treats matrices of one
    shape together, each packed matrix by itself, and in a precision that the device is fast in: bfloat16 on CUDA,
    float32 elsewhere, because a CPU without bfloat16 instructions is many times slower in it.

    Args:
        packed: Of the parameters that stack several matrices along their first axis, the rows of each matrix.
        momentum: Decay rate per step of the running mean of gradients.
        weight_decay: Share of a weight that one step at learning rate 1 removes.
        dtype: Precision of the iteration, if not the device's own.

    Source:
        Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; the scaling is equation 4 of
        Liu et al. 2025, arXiv:2502.16982.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        packed: Mapping[Tensor, Sequence[int]] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.packed, self.dtype = dict(packed or {}), dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Call the closure, if given; take one step; return the closure's loss."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            alike: dict[tuple[Any, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                mean = state["momentum_buffer"].lerp_(weight.grad, 1 - group["momentum"])
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                rows = self.packed.get(weight, weight.shape[:1])
                updates = weight.grad.lerp(mean, group["momentum"]).split(list(rows))
                for matrix, update in zip(weight.split(list(rows)), updates, strict=True):
                    # A tall matrix is orthogonalised as a wide one, whose products are smaller.
                    is_tall = matrix.shape[0] > matrix.shape[1]
                    pair = (matrix.mT, update.mT) if is_tall else (matrix, update)
                    alike[pair[0].shape, matrix.device].append(pair)
            for pairs in alike.values():
                step_size = 0.2 * math.sqrt(pairs[0][0].shape[1]) * group["lr"]
                directions = orthogonalized(torch.stack([update for _, update in pairs]), self.dtype)
                for (matrix, _), direction in zip(pairs, directions, strict=True):
                    matrix.sub_(direction, alpha=step_size)
        return loss


def orthogonalized(matrices: Float[Tensor, "N R C"], dtype: torch.dtype | None = None) -> Float[Tensor, "N R C"]:
    """Return wide matrices with the same singular vectors, and all singular values near 1.

    Source:
        Jordan et al. 2024, https://kellerjordan.github.io/posts/muon: five steps of a Newton-Schulz iteration of
        the fifth degree, with its coefficients.
    """
    if dtype is None:
        dtype = torch.bfloat16 if matrices.is_cuda else torch.float32
    x = matrices.to(dtype)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(5):
        gram = x @ x.mT  # (N, R, R)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x.to(matrices.dtype)
