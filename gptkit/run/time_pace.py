"""Keeps a run to a budget of time: reckons anew as it goes, from what its work takes by the clock."""

import time
from collections.abc import Callable
from dataclasses import replace
from math import exp

from gptkit.recipe.train_settings import TrainSettings
from gptkit.run.step_count import Make, nearest
from gptkit.run.time_budget import INTERVALS, Budget, Costs, fitting

# Of the time that is left, how much passes before the steps are counted anew.
BETWEEN = 0.05
# Of the budget: steps that lie longer ago count for little. A machine's speed wanders slowly, and jitters quickly.
MEMORY = 0.1
# Of the budget: where the length is being fixed, it is fixed this much too short. Better early than unfinished.
EARLY = 0.02
# Of the budget, by which a run that can no longer be shortened may be late rather than end unfinished.
LATE = 0.04


class TimeController:
    """What a run has taken so far, by a clock, and how many steps it should take in all because of that.

    Args:
        measured: From how many steps the costs were measured.
        make: Makes the schedule of a number of steps.
    """

    def __init__(
        self,
        budget: Budget,
        costs: Costs,
        settings: TrainSettings,
        make: Make,
        *,
        measured: int = 1,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.budget, self.settings, self.make, self.clock = budget, settings, make, clock
        self.first = self.costs = costs
        self.steps, self.seconds = float(measured), measured * costs.step
        self.now = self.next = clock()
        self.due: list[str] = []
        self.is_fixed = False
        self.set_total(settings.max_iters)

    def set_total(self, total: int) -> None:
        """Have a number of steps in all."""
        self.total = total
        self.schedule, self.longer = self.make(total), self.make(2 * total)

    def parts(self, taken: int) -> bool:
        """Return whether the next step would be another one in a longer run, so that the length is then fixed."""
        return self.schedule(taken) != self.longer(taken)

    def size(self, taken: int) -> int:
        """Return how many steps the run should have in all, right after one is taken."""
        before, self.now = self.now, self.clock()
        self.update_costs(self.now - before, taken)
        left = self.budget.left(self.now)
        if self.is_fixed:
            return self.total
        if self.now >= self.next or taken == self.total or self.parts(taken):
            self.next = self.now + BETWEEN * max(left, 0.0)
            early = EARLY * self.budget.seconds if self.parts(taken) else 0.0
            wanted = max(taken, fitting(self.costs, self.settings, taken, left - early))
            if (total := nearest(self.make, self.total, wanted, taken)) != self.total:
                self.set_total(total)
            self.is_fixed = self.parts(taken)
        return self.total

    def is_up(self, taken: int) -> bool:
        """Return whether the run must be broken off after this step, because its end would come too late."""
        left = self.budget.left(self.now)
        one_more, all_of_them = (self.costs.ahead(self.settings, taken, last) for last in (taken + 1, self.total))
        return taken < self.total and one_more > left and all_of_them > left + LATE * self.budget.seconds

    def update_costs(self, lap: float, taken: int) -> None:
        """Take to heart what passed since the step before: what was due after that one, and this one."""
        if self.due:
            # What is due together is told apart as it was measured, and the latest counts for half.
            share = max(lap - self.costs.step, 0.0) / sum(getattr(self.first, name) for name in self.due)
            means = {
                name: (getattr(self.costs, name) + share * getattr(self.first, name)) / 2 for name in self.due
            }
            self.costs = replace(self.costs, **means)
        else:
            fading = exp(-lap / (MEMORY * self.budget.seconds))
            self.steps, self.seconds = self.steps * fading + 1, self.seconds * fading + lap
            self.costs = replace(self.costs, step=self.seconds / self.steps)
        intervals = {name: getattr(self.settings, key) for name, key in INTERVALS.items()}
        self.due = [name for name, interval in intervals.items() if interval and taken % interval == 0]
