import pytest

from gptkit.components.schedule.wsd import WsdSchedule


def test_it_rises_stays_and_falls_in_straight_lines() -> None:
    schedule = WsdSchedule(14, warmup=4, decay=0.4, floor=0.2)
    factors = [0.2, 0.4, 0.6, 0.8, *[1.0] * 7, 0.8, 0.6, 0.4, 0.2]
    assert [schedule(step) for step in range(15)] == pytest.approx(factors)


def test_the_decay_may_take_all_steps() -> None:
    schedule = WsdSchedule(4, decay=1.0)
    assert [schedule(step) for step in range(5)] == pytest.approx([1, 0.75, 0.5, 0.25, 0])
