"""The other process may end at any time, and the next question starts it anew."""

import pytest

from gptkit.components.schedule.constant import ConstantSchedule
from gptkit.testing.laws.schedule import RunCase
from gptkit.testing.other_process import ask, other_process
from gptkit.testing.outcome import NotHere
from gptkit.testing.subject import Subject

# It takes seconds to start.
pytestmark = pytest.mark.exhaustive


def test_one_that_has_ended_is_told_of_and_started_anew() -> None:
    question = (Subject(part=ConstantSchedule), "gptkit.testing.laws.process:evidence", RunCase().to_json())
    answer = ask(*question)
    other_process().kill()
    other_process().wait()
    with pytest.raises(NotHere, match="has ended"):
        ask(*question)
    assert ask(*question) == answer
