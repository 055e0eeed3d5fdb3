"""Checks before training whether a step fits into free memory, and finds settings that fit where it does not."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from gptkit.errors import Problem, RecipeError
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.resolved import Resolved
from gptkit.tuning.free_memory import free_memory
from gptkit.tuning.step_memory import StepMemory, estimate_step_memory, format_bytes
from gptkit.tuning.step_memory_cache import cached_step_memory

CHECKPOINTING = {"train.checkpoint_activations": True}

# Maps changes to a recipe to the bytes that a step then takes; 0 if there is no such model.
Needed = Callable[[dict[str, Any]], int]


@dataclass(frozen=True)
class MemoryCheck:
    """The estimated memory of a step, and what the device has.

    Args:
        free: In bytes.
        estimate: None where a part needs numbers to compute; the trial step then shows whether memory suffices.
        reason: Why there is no estimate.
    """

    device: torch.device
    free: int
    estimate: StepMemory | None
    reason: str = ""


def check_memory(assembler: Assembler, vocab_size: int, device: torch.device, dtype: str) -> MemoryCheck:
    """Compare the memory of a step with what is free.

    Raises:
        RecipeError: If there is too little; says what would fit.
    """
    resolved = assembler.resolved

    def needed(changes: dict[str, Any]) -> int:
        train = {key.removeprefix("train."): value for key, value in changes.items() if key.startswith("train.")}
        sizes = {key.removeprefix("model."): value for key, value in changes.items() if key.startswith("model.")}
        changed = replace(resolved, train=replace(resolved.train, **train), sizes={**resolved.sizes, **sizes})
        try:
            return estimate_step_memory(Assembler(changed, assembler.registry), vocab_size, device, dtype).total
        except Exception:
            # A part may not exist in every size, such as one with a window in a smaller context.
            return 0

    free = free_memory(device)
    try:
        found = cached_step_memory(assembler, vocab_size, device, dtype)
    except Exception as error:
        # A third-party part may need numbers. If it is wrong, the smoke test says so.
        message = str(error).partition("\n")[0][:200]
        return MemoryCheck(device, free, None, f"{type(error).__name__}: {message}")
    if found.total > free:
        raise RecipeError([too_little(resolved, found, device, free, needed)])
    return MemoryCheck(device, free, found)


def too_little(resolved: Resolved, found: StepMemory, device: torch.device, free: int, needed: Needed) -> Problem:
    """Return the problem of a step that does not fit, with the changes that would fit."""
    settings, block_size = resolved.train, resolved.sizes["block_size"]
    can_checkpoint = not settings.checkpoint_activations and 0 < needed(CHECKPOINTING) <= free
    split = smaller_batch(resolved, free, needed)
    changes = (CHECKPOINTING if can_checkpoint else {}, split, smaller_context(resolved, free, needed))
    options = [
        " ".join(f"--set {key}={str(value).lower()}" for key, value in change.items())
        for change in changes
        if change
    ]
    advice = "No split of the batch fits, nor a smaller context: try a smaller batch or model"
    if options:
        advice = f"What fits: {', or '.join(options)}"
    message = (
        f"a step of {settings.batch_size:,} × {block_size:,} tokens in one pass needs "
        f"{found}, and {device} has {format_bytes(free)} free. {advice}"
    )
    key = "train.batch_size" if split else "model.block_size"
    return Problem(resolved.places.get(key, key), key, message)


def smaller_batch(resolved: Resolved, free: int, needed: Needed) -> dict[str, Any]:
    """Return the largest micro-batch that fits while a step keeps its number of tokens; empty if none fits."""
    rows, accumulation = resolved.train.batch_size, resolved.train.grad_accumulation
    # At most 100,000 parts are tried, besides one sequence at a time.
    parts = {rows, *(part for part in range(2, min(rows, 100_000) + 1) if rows % part == 0)} - {1}
    splits: list[dict[str, Any]] = [
        {"train.batch_size": rows // part, "train.grad_accumulation": accumulation * part}
        for part in sorted(parts, reverse=True)
    ]
    found = largest(splits, free, needed)
    if found or resolved.train.checkpoint_activations:
        return found
    return largest([split | CHECKPOINTING for split in splits], free, needed)


def smaller_context(resolved: Resolved, free: int, needed: Needed) -> dict[str, Any]:
    """Return the largest context that fits at the same batch, to three binary digits; empty if none fits."""
    longest = resolved.sizes["block_size"]
    lengths = sorted({mantissa << power for power in range(longest.bit_length()) for mantissa in range(4, 8)})
    candidates = [1, 2, 3, *lengths]
    return largest([{"model.block_size": length} for length in candidates if length < longest], free, needed)


def largest(candidates: Sequence[dict[str, Any]], free: int, needed: Needed) -> dict[str, Any]:
    """Return the last of the changes that fits, or an empty one; each needs more than the one before."""
    end = bisect_right(candidates, free, key=needed)
    return candidates[end - 1] if end and needed(candidates[end - 1]) else {}
