"""The schedules that begin with a warm-up."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from gptkit.components.schedule.cosine import CosineSchedule
from gptkit.components.schedule.wsd import WsdSchedule

warming = pytest.mark.parametrize("kind", [CosineSchedule, WsdSchedule])


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    total = draw(st.integers(1, 300))
    floor = draw(st.floats(0, 0.99))
    return {"total": total, "warmup": draw(st.integers(0, total - 1)), "floor": floor}


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
