"""When a run may take another number of steps than it set out to: if its schedule would have done as it did."""

from collections.abc import Callable
from dataclasses import replace

from gptkit.errors import RecipeError
from gptkit.interfaces import Schedule
from gptkit.recipe.assemble import Assembler
from gptkit.run.prepare import PreparedRun

Make = Callable[[int], Schedule]


def sized(prepared: PreparedRun, max_iters: int) -> PreparedRun:
    """Return an experiment with another number of steps, and all else as it was."""
    changed = prepared.resolved.trained_with(max_iters=max_iters)
    return replace(prepared, resolved=changed, assembler=Assembler(changed, prepared.assembler.registry))


def schedules(prepared: PreparedRun) -> Make:
    """Return what makes an experiment's schedule for any number of steps.

    It raises RecipeError where the schedule needs more steps than that.
    """
    return lambda total: sized(prepared, total).assembler.schedule()


def first_other(old: Schedule, new: Schedule, taken: int) -> int | None:
    """Return which of the steps taken, counted from 0, a new schedule scales otherwise, or None."""
    return next((step for step in range(taken) if old(step) != new(step)), None)


def nearest(make: Make, total: int, wanted: int, taken: int) -> int:
    """Return the number of steps nearest to the one wanted that a run of `total` may still have.

    Args:
        taken: Number of steps taken so far.
    """
    old = make(total)

    def is_free(size: int) -> bool:
        try:
            new = make(size)
        except RecipeError:
            return False
        # The latest step first: there they part, if anywhere.
        return size >= taken and old(taken - 1) == new(taken - 1) and first_other(old, new, taken) is None

    if is_free(wanted):
        return wanted
    near, far = total, wanted
    while abs(far - near) > 1:
        middle = (near + far) // 2
        near, far = (middle, far) if is_free(middle) else (near, middle)
    return near
