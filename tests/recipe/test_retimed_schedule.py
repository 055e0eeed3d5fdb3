"""A retimed schedule goes through all of the schedule, and changes none of the steps taken."""

import pytest
from hypothesis import assume, given, strategies as st

from gptkit.interfaces import Schedule
from gptkit.recipe.retimed_schedule import RetimedSchedule
from gptkit.recipe.train_settings import Retimed


class Places(Schedule):
    """Returns the step itself."""

    def __call__(self, step: int) -> float:
        return float(step)


@st.composite
def retimings(draw: st.DrawFn) -> Retimed:
    """Draw pairs as a run makes them: each of a step before the end, and a total not before that step."""
    total, step = draw(st.integers(1, 60)), 0
    pairs = [(0, total)]
    for _ in range(draw(st.integers(0, 4))):
        if step + 1 >= total:
            break
        step = draw(st.integers(step + 1, total - 1))
        total = draw(st.integers(step, step + 50))
        pairs.append((step, total))
    return tuple(pairs)


def places(retimed: Retimed) -> list[float]:
    total = retimed[-1][1]
    schedule = RetimedSchedule(Places(retimed[0][1]), retimed, total)
    return [schedule(step) for step in range(total)]


@given(retimings())
def test_places_never_go_back_nor_beyond_the_end(retimed: Retimed) -> None:
    found = places(retimed)
    assert found == sorted(found)
    assert all(0 <= place <= retimed[0][1] for place in found)


@given(retimings())
def test_steps_before_a_pair_do_not_know_of_it(retimed: Retimed) -> None:
    assume(len(retimed) > 1)
    step = retimed[-1][0]
    assert places(retimed)[:step] == places(retimed[:-1])[:step]


def test_half_the_steps_take_the_rest_two_places_at_a_time() -> None:
    assert places(((0, 10), (4, 7))) == [0, 1, 2, 3, 4, 6, 8]


def test_twice_the_steps_stay_at_each_place_twice() -> None:
    assert places(((0, 6), (2, 10))) == [0, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_a_run_may_end_where_it_is_retimed() -> None:
    assert places(((0, 10), (4, 4))) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("retimed", "total", "message"),
    [
        (((1, 10),), 10, "expected pairs of a step, from 0 on and increasing"),
        (((0, 10), (5, 9), (5, 8)), 8, "increasing"),
        (((0, 10), (11, 12)), 12, "increasing"),
        (((0, 10), (5, 4)), 4, "increasing"),
        (((0, 10), (5, 8)), 9, "ends with 8 steps in all, and train.max_iters is 9"),
    ],
)
def test_pairs_that_no_run_makes_are_refused(retimed: Retimed, total: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RetimedSchedule(Places(10), retimed, total)
