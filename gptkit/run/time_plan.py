"""Sets the number of steps of a `--time` run before it starts, from costs measured on this machine."""

import math
import time
from collections.abc import Callable

from gptkit.errors import UsageError
from gptkit.run.events import Planned
from gptkit.run.prepare import PreparedRun
from gptkit.run.step_count import fewest_steps, schedule_maker, steps_alike, with_length
from gptkit.run.time_budget import Budget, Costs, steps_that_fit
from gptkit.run.time_costs import measure_costs

# Share of the budget for measuring steps: the discarded ones, and those after which the total can still change.
MEASURED = 0.05
# Factor on the shortest possible budget when one is suggested, because timings vary from run to run.
RESERVE = 1.2


def plan_steps(
    prepared: PreparedRun, budget: Budget, sample_tokens: int, clock: Callable[[], float] = time.perf_counter
) -> tuple[PreparedRun, Planned]:
    """Return the run with as many steps as fit, and what that was computed from.

    Raises:
        UsageError: If too few fit, or `--set` gives the number of steps.
    """
    resolved = prepared.resolved
    settings, place = resolved.train, resolved.places.get("train.max_iters", "")
    if place.startswith("--set"):
        raise UsageError(f"--time and {place}: both say how many steps to take. Leave one out")
    make = schedule_maker(prepared)
    adjustable = steps_alike(make, settings.max_iters)
    costs, measured = measure_costs(prepared, MEASURED * budget.seconds, adjustable, sample_tokens)
    left = budget.left(clock())
    spent = budget.seconds - left
    steps, fewest = steps_that_fit(costs, settings, 0, left), fewest_steps(make)
    if steps < fewest:
        raise UsageError(too_short(prepared, budget, costs, fewest, spent))
    planned = Planned(
        max_iters=steps,
        budget=budget.seconds,
        spent=spent,
        costs=costs,
        measured=measured,
        overhead=costs.overhead(settings, 0, steps),
        adjustable_until=steps_alike(make, steps),
    )
    return with_length(prepared, steps), planned


def too_short(prepared: PreparedRun, budget: Budget, costs: Costs, fewest: int, spent: float) -> str:
    """Return the error message for a budget that is too short."""
    enough = math.ceil(RESERVE * (spent + costs.remaining(prepared.resolved.train, 0, fewest)))
    name = prepared.resolved.parts["schedule"].name
    needs = f"the {fewest:,} steps that schedule '{name}' needs" if fewest > 1 else "one step"
    return (
        f"--time of {budget.seconds:g} s is too short for {needs}: setting up and measuring took {spent:.1f} s, a "
        f"step takes {costs.step:.3g} s, an evaluation {costs.evaluation:.1f} s, a sample {costs.sample:.1f} s, "
        f"saving and drawing at the end {costs.ending:.1f} s. Expected at least: --time {enough}s"
    )
