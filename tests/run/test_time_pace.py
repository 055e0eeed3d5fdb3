"""A run keeps to its time on a machine whose speed changes, by a clock that only the test moves."""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from gptkit.components.schedule.constant import ConstantSchedule
from gptkit.components.schedule.cosine import CosineSchedule
from gptkit.components.schedule.wsd import WsdSchedule
from gptkit.errors import Problem, RecipeError
from gptkit.interfaces import Schedule
from gptkit.recipe.retimed_schedule import RetimedSchedule
from gptkit.run.events import Planned
from gptkit.run.session import is_due
from gptkit.run.step_count import MakeSchedule, nearest_total
from gptkit.run.time_budget import Budget, Costs, intervals, steps_that_fit
from gptkit.run.time_pace import TimeController
from tests.small import small_settings

BUDGET = 180.0
COSTS = Costs(step=0.3, evaluation=2.0, sample=0.5, snapshot=0.05, ending=0.6)
SETTINGS = small_settings(eval_interval=90, sample_interval=150, checkpoint_interval=70)

Slowness = Callable[[float], float]
# How many times slower the machine is than when it was measured, by the share of the budget that is gone.
MACHINES: dict[str, Slowness] = {
    "as measured": lambda share: 1.0,
    "30% slower": lambda share: 1.3,
    "30% faster": lambda share: 0.7,
    "slower and slower": lambda share: 0.85 + 0.3 * share,
    "faster and faster": lambda share: 1.3 - 0.6 * share,
    "slower by the half": lambda share: 1.0 if share < 0.5 else 1.3,
    "faster by the half": lambda share: 1.0 if share < 0.5 else 0.7,
    "in waves": lambda share: 1 + 0.3 * math.sin(40 * share),
    "beside others that come and go": lambda share: 3.0 if int(10 * share) % 2 else 1.0,
}


def wsd(total: int) -> Schedule:
    return WsdSchedule(total, warmup=20, decay=0.2)


class Simulated:
    """A run of which only the clock is real enough."""

    def __init__(self, make: MakeSchedule, slowness: Slowness) -> None:
        self.now, self.make, self.slowness = 20.0, make, slowness
        self.factors: list[float] = []
        self.total = steps_that_fit(COSTS, SETTINGS, 0, BUDGET - self.now)
        plan = Planned(self.total, BUDGET, 20.0, COSTS, measured=50, overhead=0.0, adjustable_until=0)
        self.controller = TimeController(Budget(BUDGET, 0.0), plan, SETTINGS, make, clock=lambda: self.now)
        self.is_cut = False

    def schedule(self) -> Schedule:
        """Return the schedule as it is now."""
        retimed = self.controller.retimed
        return RetimedSchedule(self.make(retimed[0][1]), retimed, self.total) if retimed else self.make(self.total)

    def work(self, seconds: float) -> None:
        self.now += seconds * self.slowness(self.now / BUDGET)

    def run(self) -> "Simulated":
        taken = 0
        while taken < self.total and not self.is_cut:
            self.factors.append(self.schedule()(taken))
            # Every tenth step is three times as long as the others, as on a machine with other work.
            self.work(COSTS.step * (3 if taken % 10 == 0 else 7 / 9))
            taken += 1
            self.controller.update(taken)
            self.total, self.is_cut = self.controller.total, self.controller.is_up
            is_last = taken == self.total or self.is_cut
            for interval, cost in zip(intervals(SETTINGS), COSTS.recurring, strict=True):
                if is_last or is_due(taken, interval):
                    self.work(cost)
        self.work(COSTS.ending)
        return self


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("make", [ConstantSchedule, CosineSchedule, wsd])
def test_a_run_ends_within_5_percent_of_its_time(make: MakeSchedule, machine: str) -> None:
    done = Simulated(make, MACHINES[machine]).run()
    assert not done.is_cut
    assert done.now == pytest.approx(BUDGET, rel=0.05)
    # Every step was taken, each as the run's last schedule says, down to the end.
    assert len(done.factors) == done.total
    assert done.factors == [done.schedule()(step) for step in range(done.total)]
    if make is not ConstantSchedule:
        assert done.factors[-1] < 0.1


@pytest.mark.parametrize(("make", "retimed"), [(ConstantSchedule, False), (wsd, False), (CosineSchedule, True)])
def test_a_schedule_is_retimed_only_where_another_length_would_change_steps_taken(
    make: MakeSchedule, retimed: bool
) -> None:
    done = Simulated(make, lambda share: 1.0 if share < 0.5 else 1.3).run()
    assert bool(done.controller.retimed) == retimed


def test_a_run_of_the_schedule_cosine_has_any_length_until_its_warmup_ends() -> None:
    make = partial(CosineSchedule, warmup=60)
    done = Simulated(make, lambda share: 1.0 if share < 0.11 else 1.25).run()
    assert done.controller.retimed[0][1] != steps_that_fit(COSTS, SETTINGS, 0, BUDGET - 20)
    assert done.now == pytest.approx(BUDGET, rel=0.02)


@pytest.mark.parametrize("make", [CosineSchedule, wsd])
def test_a_machine_that_was_suspended_cuts_the_run(make: MakeSchedule) -> None:
    done = Simulated(make, lambda share: 1e5 if 0.85 < share < 1 else 1.0).run()
    assert done.is_cut
    assert len(done.factors) < done.total


def test_what_was_measured_wrong_is_put_right_by_what_it_takes() -> None:
    done = Simulated(ConstantSchedule, lambda share: 1.0)
    done.controller.planned = done.controller.costs = Costs(
        step=0.6, evaluation=0.4, sample=1.5, snapshot=0.05, ending=0.6
    )
    done.run()
    assert done.now == pytest.approx(BUDGET, rel=0.01)
    assert done.controller.costs.step == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize(("machine", "most"), [("as measured", 5), ("slower and slower", 15), ("in waves", 45)])
def test_a_plan_that_hardly_changes_compares_no_schedules(
    monkeypatch: pytest.MonkeyPatch, machine: str, most: int
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "COSTS", replace(COSTS, step=0.02))
    calls = 0

    class CountedSchedule(ConstantSchedule):
        def __call__(self, step: int) -> float:
            nonlocal calls
            calls += 1
            return super().__call__(step)

    done = Simulated(CountedSchedule, MACHINES[machine]).run()
    assert done.now == pytest.approx(BUDGET, rel=0.02)
    assert len(done.factors) > 3000
    assert calls < most * len(done.factors)


def demanding(total: int) -> Schedule:
    """Return a schedule as a recipe's is made, which refuses to be as short as its warm-up."""
    try:
        return wsd(total)
    except ValueError as error:
        raise RecipeError([Problem("", "train.schedule", str(error))]) from error


def test_the_nearest_length_is_one_that_changes_no_step_taken() -> None:
    # The decay of 100 steps begins after 20 + 0.8 * 80 = 84: 70 taken steps leave room for it to begin at 70.
    assert nearest_total(demanding, 100, 400, 70) == 400
    assert nearest_total(demanding, 100, 90, 70) == 90
    found = nearest_total(demanding, 100, 71, 70)
    assert [demanding(found)(step) for step in range(70)] == [demanding(100)(step) for step in range(70)]
    assert [demanding(found - 1)(step) for step in range(70)] != [demanding(100)(step) for step in range(70)]
    # Shorter than its warm-up a run cannot be, and in its decay it can be nothing but what it is.
    assert nearest_total(demanding, 100, 5, 5) == 21
    assert nearest_total(demanding, 100, 400, 90) == 100
    assert nearest_total(demanding, 100, 91, 90) == 100


class EarlySchedule(Schedule):
    """Another one in its first step alone, by how long the run is."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.total = total

    def __call__(self, step: int) -> float:
        return 1.0 if step else 1 / self.total


def test_every_step_taken_counts_and_not_only_the_latest() -> None:
    assert nearest_total(EarlySchedule, 100, 200, 50) == 100
