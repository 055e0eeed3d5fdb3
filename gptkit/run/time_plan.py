"""How many steps a run with a budget of time sets out to take: as many as fit by what was measured."""

import math
import time
from collections.abc import Callable

from gptkit.errors import RecipeError, UsageError
from gptkit.run.events import Planned
from gptkit.run.prepare import PreparedRun
from gptkit.run.step_count import Make, schedules, sized
from gptkit.run.time_budget import MOST_STEPS, Budget, Costs, fitting
from gptkit.run.time_costs import measure_costs

# Of the budget, how long steps are measured: those thrown away, and those that may still correct the number.
MEASURED = 0.05
# On what was found to be the least that a budget would do with, because the machine is never twice the same.
RESERVE = 1.2


def plan_steps(
    prepared: PreparedRun, budget: Budget, sample_tokens: int, clock: Callable[[], float] = time.perf_counter
) -> tuple[PreparedRun, Planned]:
    """Return an experiment with as many steps as fit, and what was reckoned for that.

    Raises:
        UsageError: If too few fit, or somebody said with `--set` how many there are to be.
    """
    resolved = prepared.resolved
    if resolved.places.get("train.max_iters", "").startswith("--set"):
        raise UsageError(
            f"--time and {resolved.places['train.max_iters']}: both say how many steps to take. Leave one out"
        )
    make = schedules(prepared)
    costs, measured = measure_costs(
        prepared, MEASURED * budget.seconds, free_steps(make, resolved.train.max_iters), sample_tokens
    )
    left = budget.left(clock())
    steps = fitting(costs, resolved.train, 0, left)
    least = least_steps(make)
    if steps < least:
        raise UsageError(too_short(prepared, budget, costs, least, budget.seconds - left))
    looks = costs.looks(resolved.train, 0, steps)
    planned = Planned(
        max_iters=steps,
        budget=budget.seconds,
        spent=budget.seconds - left,
        costs=costs,
        measured=measured,
        looks=looks,
        free=free_steps(make, steps),
    )
    return sized(prepared, steps), planned


def free_steps(make: Make, total: int) -> int:
    """Return after how many steps a run is the same whether it has this many or twice as many."""
    shorter, longer = make(total), make(2 * total)
    return next((step for step in range(total) if shorter(step) != longer(step)), total)


def least_steps(make: Make) -> int:
    """Return with how few steps the schedule can do."""

    def is_enough(steps: int) -> bool:
        try:
            make(steps)
        except RecipeError:
            return False
        return True

    enough = 1
    while not is_enough(enough) and enough < MOST_STEPS:
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if is_enough(middle) else (middle, enough)
    return enough


def too_short(prepared: PreparedRun, budget: Budget, costs: Costs, least: int, spent: float) -> str:
    """Return what to say of a budget that is too short."""
    settings = prepared.resolved.train
    enough = math.ceil(RESERVE * (spent + costs.ahead(settings, 0, least)))
    name = prepared.resolved.parts["schedule"].name
    needs = f"the {least:,} steps that schedule '{name}' needs" if least > 1 else "one step"
    return (
        f"--time of {budget.seconds:g} s is too short for {needs}: setting up and measuring took {spent:.1f} s, a "
        f"step takes {costs.step:.3g} s, an evaluation {costs.evaluation:.1f} s, a sample {costs.sample:.1f} s, "
        f"saving and drawing at the end {costs.ending:.1f} s. Expected at least: --time {enough}s"
    )
