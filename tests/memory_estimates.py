"""The memory estimates of this process, each made once: for small runs they take longer than the run itself."""

from typing import Any

from gptkit.recipe.assemble import Assembler
from gptkit.tuning.step_memory import StepMemory, estimate_step_memory

KNOWN: dict[tuple[object, ...], StepMemory] = {}


def known_estimate(assembler: Assembler, *given: Any) -> StepMemory:
    """Return what `estimate_step_memory` returns, from memory if the same was asked before."""
    resolved, get = assembler.resolved, assembler.registry.get
    if resolved.autos:
        return estimate_step_memory(assembler, *given)
    choices = [
        choice
        for part_of in (resolved.parts, *resolved.layers)
        for kind, choice in part_of.items()
        if kind not in {"corpus", "tokenizer"}
    ]
    options = repr([resolved.sizes, resolved.train, given, *(choice.options for choice in choices)])
    # The classes, because plugin files of different tests give different ones the same name.
    key = (options, *(get(choice.kind, choice.name).part for choice in choices))
    if key not in KNOWN:
        KNOWN[key] = estimate_step_memory(assembler, *given)
    return KNOWN[key]
