import math

import pytest

from gptkit.components.schedule.cosine import CosineSchedule


def test_it_rises_in_a_straight_line_and_falls_along_half_a_cosine() -> None:
    schedule = CosineSchedule(14, warmup=4, floor=0.1)
    assert [schedule(step) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    fall = [0.1 + 0.9 * (1 + math.cos(math.pi * n / 10)) / 2 for n in range(11)]
    assert [schedule(step) for step in range(4, 15)] == pytest.approx(fall)


def test_half_way_it_is_half_way_to_the_floor() -> None:
    assert CosineSchedule(10, floor=0.2)(5) == pytest.approx(0.6)
