"""Tries a pass before the first step: whether there is memory for it, and whether it pays to compile it."""

import time
from dataclasses import replace

import torch

from gptkit.budget import Budget
from gptkit.compiler import choose_compile
from gptkit.dry_step import dry_step
from gptkit.experiment import Experiment
from gptkit.hardware import Decision


def try_pass(experiment: Experiment, budget: Budget | None = None) -> tuple[Experiment, Decision[bool]]:
    """Return an experiment, its model on its device, with what was decided about compiling it.

    Args:
        budget: How long the run may take, where that decides how many steps there are.

    Raises:
        RecipeError: If there is too little memory; says which batch_size to try instead.
    """
    model, resolved, dtype = experiment.model, experiment.resolved, experiment.dtype.value
    model.to(experiment.device.value)
    seconds = dry_step(model, resolved, dtype)
    whole = seconds * resolved.train.grad_accumulation * resolved.train.max_iters
    decision = choose_compile(
        resolved.train.compile,
        experiment.device.value,
        whole=whole if budget is None else budget.left(time.perf_counter()),
        eager=lambda: dry_step(model, resolved, dtype),
        # Here and not before: to ask for it takes seconds, whether it is used or not.
        compiled=lambda: dry_step(model, resolved, dtype, torch.compile(model)),
    )
    return replace(experiment, resolved=resolved.trained_with(compile=decision.value)), decision
