"""Estimates the memory of a training step by running one on fake tensors, which have shapes and no numbers."""

import logging
from dataclasses import asdict, dataclass
from platform import libc_ver

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from gptkit.model import GPT
from gptkit.nn.activation_checkpointing import checkpoint_activations
from gptkit.recipe.assemble import Assembler
from gptkit.seeds import seeded
from gptkit.training.micro_batches import MicroBatch
from gptkit.training.train import clip_gradients, forward_backward, new_scaler
from gptkit.tuning.tensor_memory import MemoryTracker

# More than any machine has, for shapes whose size does not fit a 64-bit number.
BEYOND_COUNTING = 2**63

# Up to this size glibc takes a tensor from a heap of which it returns nothing while something above is in use.
# While a run keeps its memory, larger ones come from there too; that was 3% of all for `gpt_small`.
LARGEST_IN_HEAP = 32 * 1024**2
# Share of the small tensors' bytes lost to gaps between them: measured 0.3 to 0.8 without checkpointing.
LOST_IN_HEAP = 0.6
# Share of all tensors' bytes that kernels take besides: measured up to 0.15, most for bf16 on a CPU.
SCRATCH = 0.1


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Bytes in use at the peak of a step.

    Args:
        activations: All other tensors: those saved for backward, and temporary ones.
        overhead: Scratch memory of kernels and gaps of the allocator, estimated from measured shares.
    """

    weights: int = 0
    gradients: int = 0
    optimizer_state: int = 0
    activations: int = 0
    overhead: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return sum(asdict(self).values())

    def __str__(self) -> str:
        """Return the estimate as an error and the command line show it."""
        if self.total >= BEYOND_COUNTING:
            return f"more than {format_bytes(BEYOND_COUNTING)}"
        parts = (f"{name.replace('_', ' ')} {format_bytes(size)}" for name, size in asdict(self).items())
        return f"about {format_bytes(self.total)} ({', '.join(parts)})"


def format_bytes(size: int) -> str:
    """Return a number of bytes to three digits, in powers of 1000."""
    units = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    power = min(max(len(str(size)) - 1, 0) // 3, len(units) - 1)
    return f"{size / 1000**power:.3g} {units[power]}" if power else f"{size} bytes"


def estimate_step_memory(assembler: Assembler, vocab_size: int, device: torch.device, dtype: str) -> StepMemory:
    """Return the memory that a step of an assembler's recipe takes when it is not compiled.

    Runs every operator of a whole step on fake tensors, which take no memory, so that what a part saves for
    backward is counted, a third-party part's too.

    Raises:
        Exception: Whatever a part raises that needs numbers, or that refuses one of its sizes.
    """
    settings = assembler.resolved.train
    # glibc keeps small tensors in a heap.
    has_heap = device.type == "cpu" and libc_ver()[0] == "glibc" and not settings.checkpoint_activations
    tracker = MemoryTracker(device.type, small=LARGEST_IN_HEAP if has_heap else 0)
    # PyTorch also logs what it raises.
    logger = logging.getLogger(FakeTensorMode.__module__)
    before, logger.disabled = logger.disabled, True
    try:
        with seeded(device, settings.seed, "footprint"), FakeTensorMode(), tracker:
            with device:
                model = assembler.model(vocab_size)
            return track_step(assembler, model, dtype, tracker)
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        return StepMemory(activations=BEYOND_COUNTING)
    finally:
        logger.disabled = before


def track_step(assembler: Assembler, model: GPT, dtype: str, tracker: MemoryTracker) -> StepMemory:
    """Run a step as `train` does, but not the first, and return the memory at its peak."""
    settings, weights = assembler.resolved.train, tracker.alive
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = assembler.optimizer().build(model.parameter_groups())
    # A first step, in which the optimizer allocates its state.
    for weight in trained:
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    gradients = sum(weight.nbytes for weight in trained)
    state = tracker.alive - weights - gradients
    if settings.grad_accumulation > 1:
        # The peak is in the last micro-batch of a step, when the gradients of those before it are there.
        tracker.gradients = gradients
    else:
        optimizer.zero_grad(set_to_none=True)
        for weight in trained:
            weight.register_post_accumulate_grad_hook(tracker.count_gradient)
    tracker.begin()
    device = trained[0].device
    # The tokens of a whole step are in memory, of which each micro-batch is a view.
    shape = (settings.grad_accumulation, settings.batch_size, model.dims.block_size)
    x, y = (torch.zeros(shape, dtype=torch.long, device=device)[0] for _ in ("inputs", "targets"))
    checkpoint_activations(model.blocks, settings.checkpoint_activations)
    model.train()
    forward_backward(model, new_scaler(device, dtype), MicroBatch(0, 0, x, y, settings, dtype))
    clip_gradients(model, settings.grad_clip)
    optimizer.step()
    at_peak = tracker.gradients_at_peak
    return StepMemory(
        weights=weights,
        gradients=at_peak,
        optimizer_state=state,
        activations=tracker.peak - weights - state - at_peak,
        overhead=int(SCRATCH * tracker.peak + LOST_IN_HEAP * tracker.small_at_peak),
    )
