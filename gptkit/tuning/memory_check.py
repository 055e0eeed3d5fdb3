"""Whether there is memory for a step, known before any is taken, and what would fit where there is not."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from gptkit.errors import Problem, RecipeError
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.resolved import Resolved
from gptkit.tuning.free_memory import free_memory
from gptkit.tuning.step_memory import StepMemory, estimate_step_memory, shown

# How many ways to split a batch evenly are looked at, besides one sequence at a time.
MOST_PASSES = 100_000
RECOMPUTING = {"train.checkpoint_activations": True}

Needed = Callable[[dict[str, Any]], int]


def check_memory(assembler: Assembler, vocab_size: int, device: torch.device, dtype: str) -> str:
    """Return what a step takes and what there is, or why it cannot be told before a step is tried.

    Raises:
        RecipeError: If there is too little; says what would fit.
    """

    def estimate(changes: dict[str, Any]) -> StepMemory:
        changed = Assembler(with_changes(assembler.resolved, changes), assembler.registry)
        return estimate_step_memory(changed, vocab_size, device, dtype)

    free = free_memory(device)
    try:
        found = estimate({})
    except Exception as error:
        # A stranger's part may need numbers. If it is wrong, a rehearsal is going to tell.
        told = str(error).partition("\n")[0][:200]
        return f"known when a step is tried: it cannot be estimated without one ({type(error).__name__}: {told})"
    if found.total <= free:
        return f"{found} of {shown(free)} free on {device}"

    def needed(changes: dict[str, Any]) -> int:
        try:
            return estimate(changes).total
        except Exception:
            # Not every part is there in every size, such as one with a window in a smaller context.
            return 0

    resolved = assembler.resolved
    settings, block_size = resolved.train, resolved.sizes["block_size"]
    split, fitting = smaller_batch(resolved, free, needed), changes_that_fit(resolved, free, needed)
    key = "train.batch_size" if split else "model.block_size"
    ways = [*fitting, *([split] if split else [])]
    if block := smaller_context(resolved, free, needed):
        ways.append(block)
    advice = (
        "What fits: " + ", or ".join(map(spelt, ways))
        if ways
        else "No split of the batch fits, nor a smaller context: try a smaller batch or model"
    )
    message = (
        f"a step of {settings.batch_size:,} × {block_size:,} tokens in one pass needs {found}, and {device} has "
        f"{shown(free)} free. {advice}"
    )
    raise RecipeError([Problem(resolved.places.get(key, key), key, message)])


def spelt(changes: dict[str, Any]) -> str:
    """Return changes as the command line takes them."""
    return " ".join(f"--set {key}={str(value).lower()}" for key, value in changes.items())


def with_changes(resolved: Resolved, changes: dict[str, Any]) -> Resolved:
    """Return a recipe with other values of some keys of its `[train]`, and another context."""
    train = {key.removeprefix("train."): value for key, value in changes.items() if key.startswith("train.")}
    sizes = {key.removeprefix("model."): value for key, value in changes.items() if key.startswith("model.")}
    return replace(resolved, train=replace(resolved.train, **train), sizes={**resolved.sizes, **sizes})


def changes_that_fit(resolved: Resolved, free: int, needed: Needed) -> list[dict[str, Any]]:
    """Return the change that trades time for memory, if it is enough and is not made."""
    is_open = not resolved.train.checkpoint_activations
    return [RECOMPUTING] if is_open and 0 < needed(RECOMPUTING) <= free else []


def smaller_batch(resolved: Resolved, free: int, needed: Needed) -> dict[str, Any]:
    """Return the largest batch of as many tokens a step that fits, or nothing."""
    rows, passes = resolved.train.batch_size, resolved.train.grad_accumulation
    parts = sorted(
        {rows, *(part for part in range(2, min(rows, MOST_PASSES) + 1) if rows % part == 0)}, reverse=True
    )

    def split(part: int) -> dict[str, Any]:
        return {"train.batch_size": rows // part, "train.grad_accumulation": passes * part}

    ways: list[dict[str, Any]] = [{}] if resolved.train.checkpoint_activations else [{}, RECOMPUTING]
    found = (largest([split(part) | way for part in parts if part > 1], free, needed) for way in ways)
    return next(filter(None, found), {})


def smaller_context(resolved: Resolved, free: int, needed: Needed) -> dict[str, Any]:
    """Return the largest context that fits at the same batch, to three binary digits, or nothing."""
    longest = resolved.sizes["block_size"]
    lengths = sorted({mantissa << power for power in range(longest.bit_length()) for mantissa in range(4, 8)})
    candidates = [1, 2, 3, *lengths]
    return largest([{"model.block_size": length} for length in candidates if length < longest], free, needed)


def largest(candidates: Sequence[dict[str, Any]], free: int, needed: Needed) -> dict[str, Any]:
    """Return the last of some changes that fits, of which each needs more than the one before; or nothing.

    Args:
        needed: How many bytes a step takes after a change; 0 where there is no such model.
    """
    end = bisect_right(candidates, free, key=needed)
    return candidates[end - 1] if end and needed(candidates[end - 1]) else {}
