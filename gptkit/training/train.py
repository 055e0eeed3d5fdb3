"""The training step: forward, loss, backward, clip, step. `train` is a generator of steps."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import torch
import torch._functorch.config
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.errors import NumericsError
from gptkit.model import GPT
from gptkit.nn.activation_checkpointing import checkpoint_activations
from gptkit.nn.auxiliary_losses import collected_losses, parts_with_losses
from gptkit.recipe.train_settings import TrainSettings
from gptkit.training.cuda_graph import CudaGraph, ForwardBackward
from gptkit.training.finite_guard import FiniteGuard, can_defer
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
        auxiliary_loss: Mean of what its parts reported beside that; None if no part of the model reports losses.
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
    auxiliary_loss: Float[Tensor, ""] | None = None


def losses_of(model: nn.Module, batch: MicroBatch) -> Float[Tensor, " L"]:
    """Return a micro-batch's share of the mean loss of its step's tokens, and of that of parts with losses."""
    collected = collected_losses(model, is_checkpointed=batch.settings.checkpoint_activations)
    with autocast(batch.inputs.device, batch.dtype), collected as reported:
        logits = model(batch.inputs)  # (B, T, V)
        losses = [F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())]
        if reported is not None:
            losses.append(sum(reported, start=torch.zeros_like(losses[0])))
        return torch.stack(losses) / batch.settings.grad_accumulation


def forward_backward(model: nn.Module, scaler: torch.amp.GradScaler, batch: MicroBatch) -> Float[Tensor, " L"]:
    """Add the gradients of a micro-batch to those of its step, and return its `losses_of`."""
    losses = losses_of(model, batch)
    scaler.scale(losses.sum()).backward()
    return losses.detach()


def compiled_pass(model: GPT, scaler: torch.amp.GradScaler, settings: TrainSettings) -> ForwardBackward:
    """Return the compiled `forward_backward` of a model: on CUDA as a graph, unless activations are recomputed."""
    compiled_model: Any = torch.compile(model)
    compiled: ForwardBackward = partial(forward_backward, compiled_model, scaler)
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
    n_losses = 2 if parts_with_losses(model) else 1

    def refuse(step: int, loss: float, norm: float) -> NoReturn:
        optimizer.zero_grad(set_to_none=True)
        raise NumericsError(explain_nonfinite(micro_batches, step, loss, norm, losses_of))

    def confirm() -> None:
        if found := guard.first_nonfinite():
            refuse(*found)

    for step in range(first, settings.max_iters):
        began = time.perf_counter()
        for group, learning_rate in zip(optimizer.param_groups, learning_rates, strict=True):
            group["lr"] = learning_rate * schedule(step)
        model.train()
        losses = torch.zeros(n_losses, device=device)
        for batch in micro_batches.of(step):
            with batch.seeded():
                losses += add_gradients(batch)
        scaler.unscale_(optimizer)
        norm = clip_gradients(model, settings.grad_clip)
        # The scaler itself skips a step that overflowed because its scale is too large for fp16. At a scale of 1
        # the gradient itself is infinite.
        total = losses.sum()
        is_scaled = scaler.is_enabled() and scaler.get_scale() > 1
        if guard.check(step, total, total if is_scaled else norm):
            refuse(step, float(total), float(norm))
        try:
            scaler.step(optimizer)
        except Exception as error:
            raise HalfApplied from error
        scaler.update()
        # A CUDA graph keeps adding to the gradient tensors that it was recorded with.
        optimizer.zero_grad(set_to_none=not is_graph)
        rate, n_tokens = optimizer.param_groups[0]["lr"], micro_batches.rows * model.dims.block_size
        seconds = time.perf_counter() - began
        yield Step(step + 1, losses[0], rate, n_tokens, seconds, confirm, *losses[1:])


def new_scaler(device: torch.device, dtype: str) -> torch.amp.GradScaler:
    """Return the loss scaler that keeps small gradients from underflowing in fp16; disabled for other dtypes."""
    return torch.amp.GradScaler(device.type, enabled=dtype == "fp16")


def clip_gradients(model: GPT, limit: float) -> Float[Tensor, ""]:
    """Return the norm of all gradients together, after scaling them down to at most a limit; 0 is no limit."""
    if limit:
        return torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
    return torch.nn.utils.get_total_norm([weight.grad for weight in model.parameters() if weight.grad is not None])
