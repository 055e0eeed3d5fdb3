"""Tries a pass before training: shows within seconds whether memory suffices, and whether to compile."""

import time
from datetime import timedelta
from functools import partial
from statistics import median

import torch

from gptkit.errors import Problem, RecipeError
from gptkit.model import GPT
from gptkit.nn.activation_checkpointing import checkpoint_activations
from gptkit.recipe.resolved import Resolved
from gptkit.seeds import seeded
from gptkit.training.cuda_graph import ForwardBackward
from gptkit.training.micro_batches import MicroBatch
from gptkit.training.restored import restored
from gptkit.training.train import compiled_pass, forward_backward, new_scaler
from gptkit.tuning.machine import Decision, lacking
from gptkit.tuning.timing import in_turns

# Compiling takes a minute or more, which a run shorter than this may never win back.
WORTH_SECONDS = 600
# A smaller gain may be noise.
WORTHWHILE_GAIN = 1.05
REPEATS = 3


def trial_step(model: GPT, resolved: Resolved, dtype: str, compiled: ForwardBackward | None = None) -> float:
    """Run forward and backward of one micro-batch of zeros, leave the model as it was, and return the seconds.

    The optimizer state is not allocated: that happens in the first step.

    Args:
        compiled: The pass, if it is to be tried compiled.

    Raises:
        RecipeError: If there is too little memory; says which batch_size to try instead.
    """
    settings = resolved.train
    device = next(model.parameters()).device
    checkpoint_activations(model.blocks, settings.checkpoint_activations)
    model.train()
    try:
        with restored(model), seeded(device, settings.seed, "dry step"):
            began = time.perf_counter()
            tokens = torch.zeros(settings.batch_size, model.dims.block_size, dtype=torch.long, device=device)
            batch = MicroBatch(0, 0, tokens, tokens, settings, dtype)
            run = compiled or partial(forward_backward, model, new_scaler(device, dtype))
            float(run(batch)[0])  # Waits for the device.
            return time.perf_counter() - began
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        place = resolved.places.get("train.batch_size", "train.batch_size")
        raise RecipeError([Problem(place, "train.batch_size", suggestion(resolved, device))]) from error


def decide_compile(
    model: GPT, resolved: Resolved, device: torch.device, dtype: str, *, seconds_left: float | None = None
) -> Decision[bool]:
    """Move a model to its device, run a trial step there, and decide whether training is compiled.

    Where the recipe says `auto`, a compiler must be installed, the run be long, and a compiled pass be faster.

    Args:
        seconds_left: How long the run may take, where that decides the number of steps.

    Raises:
        RecipeError: If there is too little memory; says which batch_size to try instead.
    """
    settings = resolved.train
    model.to(device)
    eager = partial(trial_step, model, resolved, dtype)
    all_steps = eager() * settings.grad_accumulation * settings.max_iters
    if settings.compile != "auto":
        return Decision(settings.compile, "the recipe says so")
    if lack := lacking(device):
        return Decision(False, lack)
    if seconds_left is not None:
        all_steps = seconds_left
    if all_steps < WORTH_SECONDS:
        about = timedelta(seconds=round(all_steps))
        return Decision(False, f"all steps take about {about}, and compiling takes minutes first")
    try:
        # torch.compile is called here and not before: that alone takes seconds.
        run = compiled_pass(model, new_scaler(device, dtype), settings)
        compiled = partial(trial_step, model, resolved, dtype, run)
        compiled()
    except Exception as error:
        # A third-party part may not compile. With `compile = true` the whole error is shown.
        return Decision(False, f"compiling failed: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    seconds = in_turns({"eager": eager, "compiled": compiled}, range(REPEATS))
    plain, fast = median(seconds["eager"]), median(seconds["compiled"])
    measured = f"a pass takes {fast:.3g} s compiled and {plain:.3g} s as it is, measured"
    return Decision(plain / fast >= WORTHWHILE_GAIN, measured)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on any device."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def suggestion(resolved: Resolved, device: torch.device) -> str:
    """Return the message about too little memory: how a step can have as many tokens and take less."""
    rows, accumulation = resolved.train.batch_size, resolved.train.grad_accumulation
    found = f"{rows} sequences in one pass need more memory than {device} has"
    slower = "" if resolved.train.checkpoint_activations else ". Slower: --set train.checkpoint_activations=true"
    if rows == 1:
        return f"{found}. Try a smaller model or a smaller model.block_size{slower}"
    parts = next((divisor for divisor in range(2, 1000) if rows % divisor == 0), rows)
    return (
        f"{found}. As many tokens a step with less: --set train.batch_size={rows // parts} "
        f"--set train.grad_accumulation={accumulation * parts}{slower}"
    )
