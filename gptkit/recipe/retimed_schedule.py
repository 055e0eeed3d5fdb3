"""Spreads the rest of a schedule over more or fewer steps: a run with `--time` does so when the speed changes."""

from bisect import bisect_right
from itertools import pairwise

from gptkit.interfaces import Schedule
from gptkit.recipe.train_settings import Retimed


class RetimedSchedule(Schedule):
    """A schedule whose rest was spread over another number of steps, once or several times during the run.

    Args:
        schedule: Made for the total of the first pair.
        retimed: The pairs, the first of step 0.
        total: Number of steps in the run; the total of the last pair.

    Raises:
        ValueError: If the pairs are not of increasing steps, each before the total that held until then, or end
            with another total.
    """

    def __init__(self, schedule: Schedule, retimed: Retimed, total: int) -> None:
        super().__init__(total)
        steps = [step for step, _ in retimed]
        in_order = all(before < step <= length for (before, length), (step, _) in pairwise(retimed))
        if steps[0] != 0 or not in_order or any(length < step for step, length in retimed):
            raise ValueError(
                f"expected pairs of a step, from 0 on and increasing, and a total, found {list(retimed)}"
            )
        if retimed[-1][1] != total:
            raise ValueError(
                f"ends with {retimed[-1][1]:,} steps in all, and train.max_iters is {total:,}: change both, or "
                "set train.retimed=[] to run the schedule as it is"
            )
        self.schedule, self.steps, self.retimed, self.end = schedule, steps, retimed, retimed[0][1]
        # The place in the schedule at the step of each pair.
        self.places = [0]
        for number, (step, _) in enumerate(retimed[1:]):
            self.places.append(self.place_in(number, step))

    def __call__(self, step: int) -> float:
        """Return the factor that the schedule gives at the step's place in it."""
        return self.schedule(self.place_in(bisect_right(self.steps, step) - 1, step))

    def place_in(self, number: int, step: int) -> int:
        """Return a step's place in the schedule, by pair `number`."""
        (first, length), place = self.retimed[number], self.places[number]
        left = length - first
        # Whole places, because a schedule may look its factors up in a table.
        return place + (step - first) * (self.end - place) // left if left else self.end
