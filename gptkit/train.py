"""The training loop: a generator of steps, which nothing reaches back into."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from gptkit.data import batch
from gptkit.hardware import DTYPES
from gptkit.interfaces import Schedule
from gptkit.model import GPT
from gptkit.seeds import seeded
from gptkit.settings import TrainSettings

RANK = 0  # One process trains; the number is part of what draws are derived from, so that more could.


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
    tokens: Int[Tensor, " N"],
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    settings: TrainSettings,
    *,
    dtype: str = "fp32",
) -> Iterator[Step]:
    """Yield each step after it is taken.

    Args:
        tokens: The training text, on the model's device.
        dtype: Precision of the matrix products.
    """
    device, block_size = tokens.device, model.dims.block_size
    learning_rates = [group["lr"] for group in optimizer.param_groups]
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == "fp16")
    forward: Any = torch.compile(model) if settings.compile else model
    rows = settings.batch_size * settings.grad_accumulation
    for step in range(settings.max_iters):
        began = time.perf_counter()
        for group, learning_rate in zip(optimizer.param_groups, learning_rates, strict=True):
            group["lr"] = learning_rate * schedule(step)
        model.train()
        inputs, targets = batch(tokens, rows, block_size, seed=settings.seed, step=step)
        loss = torch.zeros((), device=device)
        micro_batches = zip(inputs.split(settings.batch_size), targets.split(settings.batch_size), strict=True)
        for micro_step, (x, y) in enumerate(micro_batches):
            with (
                seeded(device, settings.seed, "dropout", step, micro_step, RANK),
                torch.autocast(device.type, DTYPES[dtype], enabled=dtype != "fp32"),
            ):
                micro_loss = mean_loss(forward(x), y) / settings.grad_accumulation
            scaler.scale(micro_loss).backward()
            loss += micro_loss.detach()
        if settings.grad_clip:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.grad_clip)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        learning_rate = optimizer.param_groups[0]["lr"]
        yield Step(step + 1, loss, learning_rate, inputs.numel(), time.perf_counter() - began)


def mean_loss(logits: Float[Tensor, "B T V"], targets: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy, in nats per token."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
