"""Keeps a `--time` run to its time while the machine's speed changes, by changing the number of steps.

Where the steps taken depend on that number, what is left of the schedule is stretched or shortened with it.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from math import exp

from gptkit.recipe.train_settings import Retimed, TrainSettings
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
# And before the schedule is retimed: a run without it is that of its schedule alone.
TOLERANCE_RETIMED = 0.02
# Share of the budget by which a run may be late before it is cut without the rest of its schedule.
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
        self.taken = 0
        # Whether a step was taken that another total would have scaled differently.
        self.is_fixed = False
        self.retimed: Retimed = ()
        self.set_total(plan.max_iters)

    def set_total(self, total: int) -> None:
        """Set the total number of steps."""
        self.total = total
        self.schedule, self.longer = self.make(total), self.make(2 * total)

    def depends_on_total(self, step: int) -> bool:
        """Return whether a longer run would scale this step differently; from then on only retiming is left."""
        return self.schedule(step) != self.longer(step)

    def update(self, taken: int) -> None:
        """Compute anew how many steps the run should have; called right after each step."""
        before, self.now, self.taken = self.now, self.clock(), taken
        self.update_costs(self.now - before, taken)
        is_last_chance = not self.is_fixed and self.depends_on_total(taken)
        left = self.budget.left(self.now)
        if self.now >= self.next or taken == self.total or is_last_chance or self.remaining(taken + 1) > left:
            self.next = self.now + BETWEEN * max(left, 0.0)
            wanted = max(taken, steps_that_fit(self.costs, self.settings, taken, left))
            off = abs(left - self.remaining(self.total))
            tolerance = TOLERANCE_RETIMED if self.is_fixed else TOLERANCE
            if wanted != self.total and off > tolerance * self.budget.seconds:
                self.resize(wanted)
            self.is_fixed = self.is_fixed or self.depends_on_total(taken)

    def resize(self, wanted: int) -> None:
        """Change the total or, once it has scaled a step, what is left of the schedule."""
        if not self.is_fixed:
            self.set_total(nearest_total(self.make, self.total, wanted, self.taken))
        # After its last step there is nothing left to stretch.
        elif self.taken < self.total and not self.is_up:
            self.retimed = (*(self.retimed or ((0, self.total),)), (self.taken, wanted))
            self.total = wanted

    @property
    def is_up(self) -> bool:
        """Whether the run is cut after this step: it is so late that shortening what is left would not help."""
        late = self.remaining(self.taken) - self.budget.left(self.now)
        return self.taken < self.total and late > LATE * self.budget.seconds

    def remaining(self, total: int) -> float:
        """Return the seconds to the end of a run of `total` steps."""
        return self.costs.remaining(self.settings, self.taken, total)

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
