"""The memory of a training step, found by going through one with tensors that have shapes and no numbers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from platform import libc_ver

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from gptkit.model import GPT
from gptkit.nn.activation_checkpointing import checkpoint_activations
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.train_settings import TrainSettings
from gptkit.seeds import seeded
from gptkit.training.micro_batches import mean_loss
from gptkit.training.precision import autocast
from gptkit.tuning.tensor_memory import MemoryTracker

# More than any machine has, for shapes whose size does not fit a 64-bit number.
BEYOND_COUNTING = 2**63


# Up to this size glibc takes a tensor from a heap of which it returns nothing while something above is in use.
# While a run keeps its memory, larger ones come from there too; that was 3% of all for `gpt_small`.
LARGEST_IN_HEAP = 32 * 1024**2
# Share of the small tensors' bytes that lie unused between them: measured between 0.3 and 0.8 without recomputing.
LOST_IN_HEAP = 0.6
# Share of all tensors' bytes that kernels take besides: measured up to 0.15, most for bf16 on a CPU.
SCRATCH = 0.1


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """What is in memory, in bytes, at the moment of a step when it is most.

    Args:
        activations: All tensors of none of the other kinds: for the backward pass, and on their way.
        overhead: What kernels need for themselves and what the allocator leaves unused, by experience.
    """

    weights: int = 0
    gradients: int = 0
    optimizer: int = 0
    activations: int = 0
    overhead: int = 0

    @property
    def tensors(self) -> int:
        """All but the overhead."""
        return self.weights + self.gradients + self.optimizer + self.activations

    @property
    def total(self) -> int:
        """All of it."""
        return self.tensors + self.overhead

    def __str__(self) -> str:
        """Return it for a person to read."""
        if self.total >= BEYOND_COUNTING:
            return f"more than {shown(BEYOND_COUNTING)}"
        named = {
            "weights": self.weights,
            "gradients": self.gradients,
            "optimizer state": self.optimizer,
            "activations": self.activations,
            "overhead": self.overhead,
        }
        parts = ", ".join(f"{name} {shown(size)}" for name, size in named.items())
        return f"about {shown(self.total)} ({parts})"


def shown(size: int) -> str:
    """Return a number of bytes as a person reads it, in powers of 1000."""
    units = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    power = min(max(len(str(size)) - 1, 0) // 3, len(units) - 1)
    return f"{size / 1000**power:.3g} {units[power]}" if power else f"{size} bytes"


def estimate_step_memory(assembler: Assembler, vocab_size: int, device: torch.device, dtype: str) -> StepMemory:
    """Return the memory that a step of an assembler's recipe takes, as if it were not compiled.

    Every operator is gone through, of the whole batch, with shapes alone: no memory is taken, and what a part
    keeps is what it would keep, a stranger's too.

    Raises:
        Exception: Whatever a part raises that needs numbers, or is refused one of its sizes.
    """
    settings = assembler.resolved.train
    with (
        seeded(device, settings.seed, "footprint"),
        silence(),
        FakeTensorMode(),
        new_tracker(device, settings) as tracker,
    ):
        try:
            with device:
                model = assembler.model(vocab_size)
            return step(assembler, model, settings, dtype, tracker)
        except RuntimeError as error:
            if "overflow" not in str(error):
                raise
            return StepMemory(activations=BEYOND_COUNTING)


def new_tracker(device: torch.device, settings: TrainSettings) -> MemoryTracker:
    """Return what counts the tensors of a step, and apart from all those that glibc puts in its heap."""
    has_heap = device.type == "cpu" and libc_ver()[0] == "glibc" and not settings.checkpoint_activations
    return MemoryTracker(device.type, small=LARGEST_IN_HEAP if has_heap else 0)


@contextmanager
def silence() -> Iterator[None]:
    """Let PyTorch not log what it raises as well."""
    logger = logging.getLogger(FakeTensorMode.__module__)
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def step(
    assembler: Assembler, model: GPT, settings: TrainSettings, dtype: str, tracker: MemoryTracker
) -> StepMemory:
    """Go through a step, not the first, and return what it took."""
    weights = tracker.alive
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = assembler.optimizer().build(model.parameter_groups())
    for weight in trained:
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    gradients = sum(weight.nbytes for weight in trained)
    state = tracker.alive - weights - gradients
    if settings.grad_accumulation > 1:
        # The last pass of a step is meant: those before it have left their gradients.
        tracker.gradients = gradients
    else:
        optimizer.zero_grad(set_to_none=True)
        for weight in trained:
            weight.register_post_accumulate_grad_hook(lambda weight: count_gradient(tracker, weight))
    tracker.begin()
    device, rows = trained[0].device, settings.batch_size * settings.grad_accumulation
    inputs, targets = (
        torch.zeros(rows, model.dims.block_size, dtype=torch.long, device=device) for _ in ("inputs", "targets")
    )
    checkpoint_activations(model.blocks, settings.checkpoint_activations)
    model.train()
    x, y = inputs[: settings.batch_size], targets[: settings.batch_size]
    with autocast(device, dtype):
        loss = mean_loss(model(x), y)
    loss.backward()
    optimizer.step()
    at_peak = tracker.gradients_at_peak
    return StepMemory(
        weights=weights,
        gradients=at_peak,
        optimizer=state,
        activations=tracker.peak - weights - state - at_peak,
        overhead=int(SCRATCH * tracker.peak + LOST_IN_HEAP * tracker.small_at_peak),
    )


def count_gradient(tracker: MemoryTracker, weight: torch.Tensor) -> None:
    """Count that a weight has its gradient."""
    tracker.gradients += weight.nbytes
