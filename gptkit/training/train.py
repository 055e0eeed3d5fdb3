"""The training loop: a generator of steps, which nothing reaches back into."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from gptkit.errors import NumericsError
from gptkit.model import GPT
from gptkit.nn.activation_checkpointing import checkpoint_activations
from gptkit.recipe.train_settings import TrainSettings
from gptkit.training.backward import choose_backward
from gptkit.training.finite_guard import FiniteGuard, can_defer
from gptkit.training.micro_batches import MicroBatches

# Below this, halving the loss scale again after an overflow of fp16 helps nobody: the gradient itself is infinite.
SMALLEST_SCALE = 1.0


class HalfApplied(Exception):  # noqa: N818
    """The optimizer failed in the middle of a step: some weights may have been changed and others not."""


@dataclass(frozen=True)
class Step:
    """One optimizer step that has been taken.

    Args:
        number: How many steps have been taken, this one included.
        loss: Mean loss of the step's tokens before it, in nats; on the device, so that asking waits for it.
        learning_rate: Of the first parameter group.
        tokens: Number of tokens it learnt from.
        seconds: How long it took; on CUDA how long it took to ask for it.
        confirm: Waits until it has been taken, and raises NumericsError unless it and all before it were finite.
    """

    number: int
    loss: Float[Tensor, ""]
    learning_rate: float
    tokens: int
    seconds: float
    confirm: Callable[[], None] = field(repr=False, compare=False)


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
        schedule: Gives the factor on the learning rate of each step, counted from 0; asked as it comes.
        dtype: Precision of the matrix products.
        first: How many steps have been taken before; `optimizer` and `scaler` then have their state of that time.

    Raises:
        NumericsError: Before a step is applied whose loss or gradient is not finite. On CUDA, where nobody waits
            for a step, when one is confirmed; none is applied by then that came after it.
    """
    device = next(model.parameters()).device
    learning_rates = [group["lr"] for group in optimizer.param_groups]
    scaler = scaler or new_scaler(device, dtype)
    guard = FiniteGuard(optimizer, device, is_deferred=can_defer(optimizer, device, scaler))
    checkpoint_activations(model.blocks, settings.checkpoint_activations)
    micro_batches = MicroBatches(model, tokens, settings, dtype)
    backward = choose_backward(model, scaler, is_compiled=settings.compile is True)

    def refuse(step: int, loss: float, norm: float) -> NoReturn:
        optimizer.zero_grad(set_to_none=True)
        raise NumericsError(micro_batches.explain(step, loss, norm))

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
            loss += backward(batch)
        scaler.unscale_(optimizer)
        norm = clip(model, settings.grad_clip)
        # A loss scale that turned out too large for fp16 is the scaler's to mend: it skips the step.
        is_scaled = scaler.is_enabled() and scaler.get_scale() > SMALLEST_SCALE
        if guard.check(step, loss, loss if is_scaled else norm):
            refuse(step, float(loss), float(norm))
        try:
            scaler.step(optimizer)
        except Exception as error:
            raise HalfApplied from error
        scaler.update()
        optimizer.zero_grad(set_to_none=not backward.keeps_gradients)
        rate, n_tokens = optimizer.param_groups[0]["lr"], micro_batches.rows * model.dims.block_size
        yield Step(step + 1, loss, rate, n_tokens, time.perf_counter() - began, confirm)


def new_scaler(device: torch.device, dtype: str) -> torch.amp.GradScaler:
    """Return what scales the loss, so that small gradients are not lost in fp16; elsewhere it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=dtype == "fp16")


def clip(model: GPT, limit: float) -> Float[Tensor, ""]:
    """Return the norm of all gradients together, after scaling them to at most a limit; 0 is none."""
    if limit:
        return torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
    return torch.nn.utils.get_total_norm([weight.grad for weight in model.parameters() if weight.grad is not None])
