"""Elsewhere it is another time, by whatever part of the date one asks."""

import datetime

import pytest

from gptkit.testing.elsewhere import time_until_another_date

DAYS = [
    datetime.datetime(2026, 1, 1, hour, tzinfo=datetime.UTC) + datetime.timedelta(n)
    for n in range(366)
    for hour in (0, 19, 23)
]


@pytest.mark.parametrize("part", ["hour", "day", "month"])
def test_no_part_of_the_date_is_the_same(part: str) -> None:
    assert not [now for now in DAYS if getattr(now, part) == getattr(now + time_until_another_date(now), part)]


def test_nor_is_the_weekday() -> None:
    assert not [now for now in DAYS if now.weekday() == (now + time_until_another_date(now)).weekday()]
