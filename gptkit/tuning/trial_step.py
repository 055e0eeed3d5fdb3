"""One step that is thrown away, before the first: whether there is memory for it is known in seconds."""

import time
from typing import Any

import torch

from gptkit.errors import Problem, RecipeError
from gptkit.model import GPT
from gptkit.nn.activation_checkpointing import checkpoint_activations
from gptkit.recipe.resolved import Resolved
from gptkit.seeds import seeded
from gptkit.training.micro_batches import mean_loss
from gptkit.training.precision import autocast
from gptkit.tuning.choose_compile import choose_compile
from gptkit.tuning.choose_device import Decision


def trial_step(model: GPT, resolved: Resolved, dtype: str, forward: Any = None) -> float:
    """Go through one forward and backward pass of a whole batch, and leave the model as it was.

    Returns how many seconds that took. What the optimizer will remember is not counted: it is allocated in its
    first step.

    Args:
        forward: The model compiled; the default is the model.

    Raises:
        RecipeError: If there is too little memory; says which batch_size to try instead.
    """
    settings, dims = resolved.train, model.dims
    device = next(model.parameters()).device
    buffers = [buffer.clone() for buffer in model.buffers()]
    checkpoint_activations(model.blocks, settings.checkpoint_activations)
    model.train()
    began = time.perf_counter()
    try:
        tokens = torch.zeros(settings.batch_size, dims.block_size, dtype=torch.long, device=device)
        with (
            seeded(device, settings.seed, "dry step"),
            autocast(device, dtype),
        ):
            loss = mean_loss((model if forward is None else forward)(tokens), tokens)
        loss.backward()
        float(loss.detach())  # Waits for the device.
        return time.perf_counter() - began
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        place = resolved.places.get("train.batch_size", "train.batch_size")
        raise RecipeError([Problem(place, "train.batch_size", suggestion(resolved, device))]) from error
    finally:
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, before in zip(model.buffers(), buffers, strict=True):
                buffer.copy_(before)


def decide_compile(
    model: GPT, resolved: Resolved, device: torch.device, dtype: str, *, seconds_left: float | None = None
) -> Decision[bool]:
    """Move a model to its device, try a pass there, and decide whether training is compiled.

    Args:
        seconds_left: How long the run may take, where that decides how many steps it has.

    Raises:
        RecipeError: If there is too little memory; says which batch_size to try instead.
    """
    settings = resolved.train
    model.to(device)
    seconds = trial_step(model, resolved, dtype)
    all_steps = seconds * settings.grad_accumulation * settings.max_iters
    return choose_compile(
        settings.compile,
        device,
        whole=all_steps if seconds_left is None else seconds_left,
        eager=lambda: trial_step(model, resolved, dtype),
        # torch.compile is called here and not before: that alone takes seconds.
        compiled=lambda: trial_step(model, resolved, dtype, torch.compile(model)),
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on whatever device."""
    told = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in told


def suggestion(resolved: Resolved, device: torch.device) -> str:
    """Return what to change so that a step learns from as many tokens in less memory."""
    rows, passes = resolved.train.batch_size, resolved.train.grad_accumulation
    found = f"{rows} sequences in one pass need more memory than {device} has"
    slower = "" if resolved.train.checkpoint_activations else ". Slower: --set train.checkpoint_activations=true"
    if rows == 1:
        return f"{found}. Try a smaller model or a smaller model.block_size{slower}"
    parts = next((divisor for divisor in range(2, 1000) if rows % divisor == 0), rows)
    return (
        f"{found}. As many tokens a step with less: --set train.batch_size={rows // parts} "
        f"--set train.grad_accumulation={passes * parts}{slower}"
    )
