"""Which totals a schedule allows: max_iters may change while the schedule would have scaled every past step alike.

With it a resumed or timed run can have more or fewer steps, and is still the run that set out to take as many.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from gptkit.errors import RecipeError
from gptkit.interfaces import Schedule
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.train_settings import Retimed
from gptkit.run.prepare import PreparedRun
from gptkit.run.time_budget import MOST_STEPS

# Makes the schedule of a total number of steps; raises RecipeError if the schedule needs more.
MakeSchedule = Callable[[int], Schedule]


def with_length(prepared: PreparedRun, max_iters: int, retimed: Retimed = ()) -> PreparedRun:
    """Return the run with another total number of steps, and a schedule retimed so or not at all."""
    changed = prepared.resolved.trained_with(max_iters=max_iters, retimed=retimed)
    return replace(prepared, resolved=changed, assembler=Assembler(changed, prepared.assembler.registry))


def schedule_of(prepared: PreparedRun, max_iters: int, retimed: Retimed = ()) -> Schedule:
    """Return the run's schedule for a total number of steps, retimed so or not at all."""
    return with_length(prepared, max_iters, retimed).assembler.schedule()


def schedule_maker(prepared: PreparedRun) -> MakeSchedule:
    """Return a function that makes the run's schedule, not retimed, for any total number of steps."""
    return partial(schedule_of, prepared)


def is_allowed(make: MakeSchedule, total: int) -> bool:
    """Return whether the schedule can have so few steps."""
    try:
        make(total)
    except RecipeError:
        return False
    return True


def fewest_steps(make: MakeSchedule) -> int:
    """Return the smallest total that the schedule allows."""
    enough = 1
    while not is_allowed(make, enough) and enough < MOST_STEPS:
        enough *= 2
    return bisect_left(range(enough), True, lo=enough // 2 + 1, key=lambda total: is_allowed(make, total))


def steps_alike(make: MakeSchedule, total: int) -> int:
    """Return how many steps are scaled alike in a run of `total` steps and in one of twice as many."""
    shorter, longer = make(total), make(2 * total)
    return next((step for step in range(total) if shorter(step) != longer(step)), total)


def first_changed_step(old: Schedule, new: Schedule, taken: int) -> int | None:
    """Return the first of the steps taken, counted from 0, that the new schedule scales differently, or None."""
    return next((step for step in range(taken) if old(step) != new(step)), None)


def nearest_total(make: MakeSchedule, total: int, wanted: int, taken: int) -> int:
    """Return the total nearest to `wanted` that a run of `total` steps may still have.

    Args:
        taken: Number of steps taken so far.
    """
    old = make(total)

    def changes_past(candidate: int) -> bool:
        if candidate < taken or not is_allowed(make, candidate):
            return True
        new = make(candidate)
        # The latest step first: schedules mostly differ there, if anywhere.
        return old(taken - 1) != new(taken - 1) or first_changed_step(old, new, taken) is not None

    if not changes_past(wanted):
        return wanted
    candidates = range(total, wanted, 1 if wanted > total else -1)
    return candidates[bisect_left(candidates, True, lo=1, key=changes_past) - 1]
