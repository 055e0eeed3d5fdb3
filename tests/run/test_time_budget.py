"""How a budget of time is written, and how many steps fit it."""

from math import inf

import pytest

from gptkit.errors import UsageError
from gptkit.run.time_budget import Budget, Costs, parse_duration, steps_that_fit, times_due
from tests.small import small_settings

COSTS = Costs(step=1.0, evaluation=10.0, sample=3.0, snapshot=0.5, ending=2.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("3m", 180), ("1h30m", 5400), ("2h", 7200), ("1h1m1s", 3661), ("0.5s", 0.5), ("1.5m", 90)],
)
def test_a_duration_is_hours_minutes_and_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "45", "0s", "-3m", "3 m", "3M", "1m1h", "3min", "nan", "infs", ".5s", "٣m", "3m\n", f"{'9' * 400}s"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_duration(text)
    assert str(caught.value) == f"--time {text}: expected a duration with its units, such as 90s, 3m or 1h30m"


def test_what_is_left_is_counted_from_the_beginning() -> None:
    assert Budget(seconds=60.0, began=100.0).left(now=130.0) == 30


@pytest.mark.parametrize("interval", [0, 1, 3, 7, 30])
@pytest.mark.parametrize("taken", [0, 1, 2, 3, 6, 7, 21])
@pytest.mark.parametrize("last", [21, 22, 24, 30])
def test_what_is_due_is_what_a_run_does(interval: int, taken: int, last: int) -> None:
    done = [step for step in range(max(taken, 1), last + 1) if step == last or (interval and step % interval == 0)]
    assert times_due(interval, taken, last) == len(done)


def test_everything_ahead_is_counted() -> None:
    settings = small_settings(eval_interval=4, sample_interval=0, checkpoint_interval=3)
    # After the steps 4, 8 and 10; 10; 3, 6, 9 and 10.
    assert COSTS.overhead(settings, 0, 10) == 3 * 10 + 3 + 4 * 0.5 + 2
    assert COSTS.remaining(settings, 0, 10) == 10 + 37
    # What is due after step 4 is not done yet when the steps are counted anew.
    assert COSTS.remaining(settings, 4, 10) == 6 + 3 * 10 + 3 + 3 * 0.5 + 2


@pytest.mark.parametrize("taken", [0, 5, 8])
@pytest.mark.parametrize("seconds", [20.0, 31.5, 100.0, 1000.0])
def test_as_many_steps_fit_as_the_time_allows_and_no_more(taken: int, seconds: float) -> None:
    settings = small_settings(eval_interval=8, sample_interval=5, checkpoint_interval=3)
    last = steps_that_fit(COSTS, settings, taken, seconds)
    assert COSTS.remaining(settings, taken, last) <= seconds < COSTS.remaining(settings, taken, last + 1)


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 15.4])
def test_nothing_fits_a_time_too_short_to_end_in(seconds: float) -> None:
    assert steps_that_fit(COSTS, small_settings(), 7, seconds) == 6


def test_no_time_is_too_long_to_count() -> None:
    assert steps_that_fit(COSTS, small_settings(), 0, 1e300) > 10**11
    assert steps_that_fit(COSTS, small_settings(), 0, inf) > 10**11
