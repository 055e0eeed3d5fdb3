import time

import pytest

from gptkit.testing.guards import TookTooLong, at_most


def work(seconds: float) -> None:
    """Use CPU time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_the_clock_stops_nobody_who_works() -> None:
    # As on a machine on which others take nine tenths of each CPU.
    with at_most(0.2, ""):
        for _ in range(20):
            work(0.002)
            time.sleep(0.018)


@pytest.mark.parametrize(
    ("does", "told"), [(work, "it takes more than 0.2 seconds of CPU time"), (time.sleep, "it waits")]
)
def test_who_works_or_waits_too_long_is_stopped(does: object, told: str) -> None:
    began = time.monotonic()
    with pytest.raises(TookTooLong, match=told), at_most(0.2, ""):
        does(60)  # type: ignore[operator]
    assert time.monotonic() - began < 30


def test_the_line_that_was_running_is_named() -> None:
    with pytest.raises(TookTooLong, match=rf"\({__file__}:\d+\)"), at_most(0.1, __file__):
        work(60)
