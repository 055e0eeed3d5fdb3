"""The training loop: a generator of steps, which nothing reaches back into."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor
from torch.nn import functional as F

from gptkit.data import batch, starts
from gptkit.errors import NumericsError
from gptkit.faults import reach
from gptkit.hardware import DTYPES
from gptkit.interfaces import Schedule
from gptkit.model import GPT
from gptkit.numerics import culprit
from gptkit.recompute import recompute_activations
from gptkit.seeds import seeded
from gptkit.settings import TrainSettings

RANK = 0  # One process trains; the number is part of what draws are derived from, so that more could.
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
        seconds: How long it took.
    """

    number: int
    loss: Float[Tensor, ""]
    learning_rate: float
    tokens: int
    seconds: float


def train(
    model: GPT,
    tokens: Integer[Tensor, " N"],
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    settings: TrainSettings,
    *,
    dtype: str = "fp32",
    first: int = 0,
    scaler: torch.amp.GradScaler | None = None,
) -> Iterator[Step]:
    """Yield each step after it is taken.

    Args:
        tokens: The training text.
        dtype: Precision of the matrix products.
        first: How many steps have been taken before; `optimizer` and `scaler` then have their state of that time.

    Raises:
        NumericsError: Before a step is applied whose loss or gradient is not finite.
    """
    device, block_size = next(model.parameters()).device, model.dims.block_size
    learning_rates = [group["lr"] for group in optimizer.param_groups]
    scaler = scaler or new_scaler(device, dtype)
    recompute_activations(model, settings.checkpoint_activations)
    forward: Any = torch.compile(model) if settings.compile else model
    rows = settings.batch_size * settings.grad_accumulation
    for step in range(first, settings.max_iters):
        reach("step")
        began = time.perf_counter()
        for group, learning_rate in zip(optimizer.param_groups, learning_rates, strict=True):
            group["lr"] = learning_rate * schedule(step)
        model.train()
        inputs, targets = (
            side.to(device) for side in batch(tokens, rows, block_size, seed=settings.seed, step=step)
        )
        loss = torch.zeros((), device=device)
        passes = [
            partial(loss_of, x=x, y=y, settings=settings, dtype=dtype, step=step, micro_step=micro_step)
            for micro_step, (x, y) in enumerate(
                zip(inputs.split(settings.batch_size), targets.split(settings.batch_size), strict=True)
            )
        ]
        for one_pass in passes:
            micro_loss = one_pass(forward)
            scaler.scale(micro_loss).backward()
            loss += micro_loss.detach()
        scaler.unscale_(optimizer)
        norm = clip(model, settings.grad_clip)
        # A loss scale that turned out too large for fp16 is the scaler's to mend: it skips the step.
        is_scaled = scaler.is_enabled() and scaler.get_scale() > SMALLEST_SCALE
        if not torch.isfinite(loss) or not (is_scaled or torch.isfinite(norm)):
            optimizer.zero_grad(set_to_none=True)
            micro_step, origin = culprit(model, passes)
            at = starts(len(tokens), rows, block_size, seed=settings.seed, step=step)
            firsts = at.split(settings.batch_size)[micro_step].flatten().tolist()
            shown = ", ".join(map(str, firsts[:8])) + (" …" if len(firsts) > 8 else "")
            raise NumericsError(
                f"step {step + 1}: the loss is {float(loss):g} and the gradient's norm {float(norm):g}, so the "
                f"step was not applied. Batch: pass {micro_step + 1} of {len(passes)}, whose rows begin at the "
                f"tokens {shown} of the training text. Not finite first: {origin}"
            )
        try:
            scaler.step(optimizer)
        except Exception as error:
            raise HalfApplied from error
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        learning_rate = optimizer.param_groups[0]["lr"]
        yield Step(step + 1, loss, learning_rate, inputs.numel(), time.perf_counter() - began)


def new_scaler(device: torch.device, dtype: str) -> torch.amp.GradScaler:
    """Return what scales the loss, so that small gradients are not lost in fp16; elsewhere it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=dtype == "fp16")


def loss_of(
    forward: Any,
    *,
    x: Int[Tensor, "B T"],
    y: Int[Tensor, "B T"],
    settings: TrainSettings,
    dtype: str,
    step: int,
    micro_step: int,
) -> Float[Tensor, ""]:
    """Return what one pass adds to the loss of its step."""
    with (
        seeded(x.device, settings.seed, "dropout", step, micro_step, RANK),
        torch.autocast(x.device.type, DTYPES[dtype], enabled=dtype != "fp32"),
    ):
        return mean_loss(forward(x), y) / settings.grad_accumulation


def clip(model: GPT, limit: float) -> Float[Tensor, ""]:
    """Return the norm of all gradients together, after scaling them to at most a limit; 0 is none."""
    if limit:
        return torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
    return torch.nn.utils.get_total_norm([weight.grad for weight in model.parameters() if weight.grad is not None])


def mean_loss(logits: Float[Tensor, "B T V"], targets: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy, in nats per token."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
