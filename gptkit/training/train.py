"""The training step: forward, loss, backward, clip, step. `train` is a generator of steps."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import torch
import torch._functorch.config
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from gptkit.errors import NumericsError
from gptkit.model import GPT
from gptkit.nn.activation_checkpointing import checkpoint_activations
from gptkit.recipe.train_settings import TrainSettings
from gptkit.training.cuda_graph import CudaGraph, ForwardBackward
from gptkit.training.micro_batches import MicroBatch, MicroBatches
from gptkit.training.nan_trace import explain_nonfinite
from gptkit.training.precision import autocast


class HalfApplied(Exception):  # noqa: N818
    """The optimizer failed in the middle of a step: some weights may have been changed and others not."""


@dataclass(frozen=True)
class Step:
    """One optimizer step that has been taken.

    Args:
        number: How many steps have been taken, this one included.
        loss: Mean loss of the step's tokens before it, in nats; on the device, so that reading it synchronises.
        learning_rate: Of the first parameter group.
        seconds: How long it took; on CUDA how long the launch took.
        confirm: Waits for the device, and raises NumericsError unless this step and all before it were finite.
    """

    number: int
    loss: Float[Tensor, ""]
    learning_rate: float
    tokens: int
    seconds: float
    confirm: Callable[[], None] = field(repr=False, compare=False)


def loss_of(model: Any, batch: MicroBatch) -> Float[Tensor, ""]:
    """Return what a micro-batch adds to the mean loss of its step, in nats per token."""
    with autocast(batch.inputs.device, batch.dtype):
        logits = model(batch.inputs)  # (B, T, V)
        loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        return loss / batch.settings.grad_accumulation


def forward_backward(model: Any, scaler: torch.amp.GradScaler, batch: MicroBatch) -> Float[Tensor, ""]:
    """Add the gradients of a micro-batch to those of its step, and return its `loss_of`."""
    loss = loss_of(model, batch)
    scaler.scale(loss).backward()
    return loss.detach()


def compiled_pass(model: GPT, scaler: torch.amp.GradScaler, settings: TrainSettings) -> ForwardBackward:
    """Return the compiled `forward_backward` of a model: on CUDA as a graph, unless activations are recomputed."""
    compiled: ForwardBackward = partial(forward_backward, torch.compile(model), scaler)
    if not settings.checkpoint_activations:
        return CudaGraph(model, compiled) if next(model.parameters()).device.type == "cuda" else compiled
    # By default a kernel with dropout that is computed twice on CUDA draws from generators of PyTorch's own, which
    # no graph has registered and which go on from step to step, whatever the seed of the step.
    draw_from_seed: Any = torch._functorch.config.patch(graphsafe_rng_functionalization=False)
    return draw_from_seed(compiled)


def train(
    model: GPT,
    tokens: Integer[Tensor, " N"],
    optimizer: torch.optim.Optimizer,
    schedule: Callable[[int], float],
    settings: TrainSettings,
    *,
    dtype: str = "fp32",
    first: int = 0,
    scaler: torch.amp.GradScaler | None = None,
) -> Iterator[Step]:
    """Yield each step after it is taken.

    Args:
        tokens: The training text.
        schedule: Maps a step, counted from 0, to the factor on the learning rate; called right before that step.
        first: Number of steps taken before; `optimizer` and `scaler` then have their state after these.

    Raises:
        NumericsError: Before a step is applied whose loss or gradient is not finite. On CUDA, where the host does
            not wait for a step, when one is confirmed; no later step has been applied by then.
    """
    device = next(model.parameters()).device
    learning_rates = [group["lr"] for group in optimizer.param_groups]
    scaler = scaler or new_scaler(device, dtype)
    guard = FiniteGuard(optimizer, device, is_deferred=can_defer(optimizer, device, scaler))
    checkpoint_activations(model.blocks, settings.checkpoint_activations)
    micro_batches = MicroBatches(model, tokens, settings, dtype)
    add_gradients: ForwardBackward = partial(forward_backward, model, scaler)
    if settings.compile is True:
        add_gradients = compiled_pass(model, scaler, settings)
    is_graph = isinstance(add_gradients, CudaGraph)

    def refuse(step: int, loss: float, norm: float) -> NoReturn:
        optimizer.zero_grad(set_to_none=True)
        raise NumericsError(explain_nonfinite(micro_batches, step, loss, norm, loss_of))

    def confirm() -> None:
        if found := guard.first_nonfinite():
            refuse(*found)

    for step in range(first, settings.max_iters):
        began = time.perf_counter()
        for group, learning_rate in zip(optimizer.param_groups, learning_rates, strict=True):
            group["lr"] = learning_rate * schedule(step)
        model.train()
        loss = torch.zeros((), device=device)
        for batch in micro_batches.of(step):
            with batch.seeded():
                loss += add_gradients(batch)
        scaler.unscale_(optimizer)
        norm = clip_gradients(model, settings.grad_clip)
        # The scaler itself skips a step that overflowed because its scale is too large for fp16. At a scale of 1
        # the gradient itself is infinite.
        is_scaled = scaler.is_enabled() and scaler.get_scale() > 1
        if guard.check(step, loss, loss if is_scaled else norm):
            refuse(step, float(loss), float(norm))
        try:
            scaler.step(optimizer)
        except Exception as error:
            raise HalfApplied from error
        scaler.update()
        # A CUDA graph keeps adding to the gradient tensors that it was recorded with.
        optimizer.zero_grad(set_to_none=not is_graph)
        rate, n_tokens = optimizer.param_groups[0]["lr"], micro_batches.rows * model.dims.block_size
        yield Step(step + 1, loss, rate, n_tokens, time.perf_counter() - began, confirm)


def new_scaler(device: torch.device, dtype: str) -> torch.amp.GradScaler:
    """Return the loss scaler that keeps small gradients from underflowing in fp16; disabled for other dtypes."""
    return torch.amp.GradScaler(device.type, enabled=dtype == "fp16")


def clip_gradients(model: GPT, limit: float) -> Float[Tensor, ""]:
    """Return the norm of all gradients together, after scaling them down to at most a limit; 0 is no limit."""
    if limit:
        return torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
    return torch.nn.utils.get_total_norm([weight.grad for weight in model.parameters() if weight.grad is not None])


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
