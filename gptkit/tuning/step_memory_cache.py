"""Caches estimates of memory on disk: the first of a process imports PyTorch's compiler, which takes seconds."""

import json
import platform
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gptkit.recipe.assemble import Assembler
from gptkit.tuning.source_hash import gptkit_hash, source_hash
from gptkit.tuning.step_memory import StepMemory, estimate_step_memory
from gptkit.tuning.timing_cache import device_name
from gptkit.user_cache import file_for, store_file

# Settings that the memory of a step does not depend on.
IRRELEVANT = (
    *("max_iters", "retimed", "seed", "keep"),
    *("eval_interval", "log_interval", "sample_interval", "checkpoint_interval"),
)


def cached_step_memory(assembler: Assembler, vocab_size: int, device: torch.device, dtype: str) -> StepMemory:
    """Return what `estimate_step_memory` returns, from disk if the same code has estimated the same step before.

    Raises:
        Exception: What `estimate_step_memory` raises.
    """
    key = key_of(assembler, vocab_size, device, dtype)
    file = file_for("memory", key)
    cached = load(file, key)
    if cached is not None:
        return cached
    estimate = estimate_step_memory(assembler, vocab_size, device, dtype)
    # Without a cache the next run only starts later.
    with suppress(OSError):
        store_file(json.dumps({"key": key, "bytes": asdict(estimate)}, indent=1).encode(), file)
    return estimate


def key_of(assembler: Assembler, vocab_size: int, device: torch.device, dtype: str) -> dict[str, Any]:
    """Return all that an estimate depends on, in JSON's types."""
    resolved, get = assembler.resolved, assembler.registry.get
    shared = [choice for kind, choice in resolved.parts.items() if kind not in {"corpus", "tokenizer", "schedule"}]
    choices = [*shared, *(choice for layer in resolved.layers for choice in layer.values())]
    settings = {name: value for name, value in vars(resolved.train).items() if name not in IRRELEVANT}
    return {
        "gptkit": gptkit_hash(),
        "torch": torch.__version__,
        "libc": platform.libc_ver()[0],
        # PyTorch chooses kernels by the card.
        "device": device_name(device),
        "dtype": dtype,
        "vocab_size": vocab_size,
        "sizes": repr(sorted(resolved.sizes.items())),
        "train": repr(sorted(settings.items())),
        "parts": [[choice.kind, choice.name, repr(sorted(choice.options.items()))] for choice in choices],
        "source": sorted(map(source_hash, {get(choice.kind, choice.name).part for choice in choices})),
    }


def load(file: Path, key: dict[str, Any]) -> StepMemory | None:
    """Return the estimate in a file, or None if there is no valid one of that key."""
    try:
        found = json.loads(file.read_bytes())
        estimate = StepMemory(**found["bytes"])
        is_valid = found["key"] == key and all(
            type(size) is int and size >= 0 for size in asdict(estimate).values()
        )
    # The file may have been edited, or cut off by a full disk: estimate again.
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return estimate if is_valid else None
