import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptkit.components.schedule.cosine import CosineSchedule
from gptkit.components.schedule.wsd import WsdSchedule
from gptkit.interfaces import Schedule
from gptkit.plugins import Plugins
from gptkit.registry import Entry

every = pytest.mark.parametrize("entry", Plugins().registry.of("schedule"), ids=lambda entry: entry.name)
warming = pytest.mark.parametrize("kind", [CosineSchedule, WsdSchedule])


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    total = draw(st.integers(1, 300))
    floor = draw(st.floats(0, 0.99))
    return {"total": total, "warmup": draw(st.integers(0, total - 1)), "floor": floor}


@every
@given(total=st.integers(1, 10_000), share=st.floats(0, 1))
def test_every_step_has_a_finite_factor_that_is_not_negative(entry: Entry, total: int, share: float) -> None:
    schedule = entry.part(total)
    for step in (0, int(share * total), total):
        assert 0 <= schedule(step) < math.inf


@every
def test_the_factor_depends_on_the_step_alone(entry: Entry) -> None:
    schedule: Schedule = entry.part(20)
    forth = [schedule(step) for step in range(21)]
    back = [schedule(step) for step in reversed(range(21))]
    assert forth == back[::-1] == [entry.part(20)(step) for step in range(21)]


@warming
@given(given=options())
def test_the_warm_up_rises_to_1_and_the_floor_is_reached(kind: Any, given: dict[str, Any]) -> None:
    schedule, warmup = kind(**given), given["warmup"]
    rise = [schedule(step) for step in range(warmup + 1)]
    assert rise == sorted(rise)
    assert rise[0] > 0
    assert rise[-1] == pytest.approx(1)
    fall = [schedule(step) for step in range(warmup, given["total"] + 1)]
    assert fall == sorted(fall, reverse=True)
    assert fall[-1] == pytest.approx(given["floor"])


@warming
@pytest.mark.parametrize("warmup", [10, 11])
def test_a_warm_up_as_long_as_the_run_is_refused(kind: Any, warmup: int) -> None:
    with pytest.raises(ValueError, match=f"^warmup = {warmup} must be below the number of steps, 10$"):
        kind(10, warmup=warmup)
