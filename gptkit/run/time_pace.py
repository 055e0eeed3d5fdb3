"""Keeps a `--time` run to its time while the machine's speed changes, by changing the number of steps."""

import time
from collections.abc import Callable
from dataclasses import replace
from math import exp

from gptkit.recipe.train_settings import TrainSettings
from gptkit.run.events import Planned
from gptkit.run.step_count import MakeSchedule, nearest_total
from gptkit.run.time_budget import Budget, intervals, steps_that_fit

# Share of the time left that passes before the number of steps is computed again.
BETWEEN = 0.05
# Share of the budget after which a measurement counts for 1/e: speed drifts slowly, and single steps vary a lot.
MEMORY = 0.1
# Share of the budget by which the end may be off before the number of steps changes. Each change compares the
# schedules over all steps taken.
TOLERANCE = 0.005
# Share of the budget kept free when the number of steps is computed for the last time: better early than cut.
EARLY = 0.02
# Share of the budget by which a run that can no longer be shortened may be late before it is cut.
LATE = 0.04


class TimeController:
    """The measured costs of a run, and the number of steps that follows from them.

    Args:
        make: Makes the schedule of a total number of steps.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        budget: Budget,
        plan: Planned,
        settings: TrainSettings,
        make: MakeSchedule,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.budget, self.settings, self.make, self.clock = budget, settings, make, clock
        self.planned = self.costs = plan.costs
        # Number of steps and their seconds, older ones discounted.
        self.steps, self.seconds = float(plan.measured), plan.measured * plan.costs.step
        self.now = self.next = clock()
        # Whether an evaluation, a sample and a snapshot were due after the step before.
        self.was_due: tuple[bool, ...] = ()
        self.is_fixed = False
        self.set_total(plan.max_iters)

    def set_total(self, total: int) -> None:
        """Set the total number of steps."""
        self.total = total
        self.schedule, self.longer = self.make(total), self.make(2 * total)

    def depends_on_total(self, step: int) -> bool:
        """Return whether a longer run would scale this step differently; then it is the last chance to resize."""
        return self.schedule(step) != self.longer(step)

    def update(self, taken: int) -> int:
        """Return the total number of steps that the run should have; called right after each step."""
        before, self.now = self.now, self.clock()
        self.update_costs(self.now - before, taken)
        is_last_chance = not self.is_fixed and self.depends_on_total(taken)
        if not self.is_fixed and (self.now >= self.next or taken == self.total or is_last_chance):
            left = self.budget.left(self.now)
            self.next = self.now + BETWEEN * max(left, 0.0)
            usable = left - (EARLY * self.budget.seconds if is_last_chance else 0.0)
            wanted = max(taken, steps_that_fit(self.costs, self.settings, taken, usable))
            off = abs(usable - self.costs.remaining(self.settings, taken, self.total))
            if wanted != self.total and off > TOLERANCE * self.budget.seconds:
                self.set_total(nearest_total(self.make, self.total, wanted, taken))
            self.is_fixed = self.depends_on_total(taken)
        return self.total

    def is_up(self, taken: int) -> bool:
        """Return whether the run must be cut after this step, because it would end too late."""
        left = self.budget.left(self.now)
        next_step, all_steps = (
            self.costs.remaining(self.settings, taken, last) for last in (taken + 1, self.total)
        )
        return taken < self.total and next_step > left and all_steps > left + LATE * self.budget.seconds

    def update_costs(self, seconds: float, taken: int) -> None:
        """Update the running costs with the last interval: what was due after the step before, and this step."""
        if any(self.was_due):
            # Split the time as it was measured before the run; the latest interval counts for half.
            kinds = list(zip(self.was_due, self.costs.recurring, self.planned.recurring, strict=True))
            scale = max(seconds - self.costs.step, 0.0) / sum(planned for due, _, planned in kinds if due)
            evaluation, sample, snapshot = (
                (now + scale * planned) / 2 if due else now for due, now, planned in kinds
            )
            self.costs = replace(self.costs, evaluation=evaluation, sample=sample, snapshot=snapshot)
        else:
            fading = exp(-seconds / (MEMORY * self.budget.seconds))
            self.steps, self.seconds = self.steps * fading + 1, self.seconds * fading + seconds
            self.costs = replace(self.costs, step=self.seconds / self.steps)
        self.was_due = tuple(interval > 0 and taken % interval == 0 for interval in intervals(self.settings))
