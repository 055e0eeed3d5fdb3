"""The other process answers for one part after the other, and ends."""

import os
import time

import pytest

from gptkit.components.norm.layernorm import LayerNorm
from gptkit.testing.guards import TookTooLong, at_most
from gptkit.testing.other_process import ask, other_process
from gptkit.testing.outcome import NotHere
from gptkit.testing.subject import Subject

pytestmark = pytest.mark.exhaustive

HERE = f"{__name__}:"


def environment(subject: Subject, name: str) -> list[str | int]:
    return [subject.part.__name__, os.environ[name], os.getppid()]


def fails(subject: Subject) -> None:
    raise RuntimeError("not here")


def ends(subject: Subject) -> None:
    os._exit(3)


def sleeps(subject: Subject) -> None:
    time.sleep(60)


def test_it_is_one_process_with_another_environment_and_a_fork_for_each_question() -> None:
    subject = Subject(part=LayerNorm)
    assert ask(subject, f"{HERE}environment", "LC_ALL") == ["LayerNorm", "C", other_process().pid]
    assert ask(subject, f"{HERE}environment", "PYTHONHASHSEED")[1] in "12"


def test_what_is_raised_there_is_told_here_and_ends_nothing() -> None:
    with pytest.raises(AssertionError, match=r"^in another process, it raises RuntimeError: not here$"):
        ask(Subject(part=LayerNorm), f"{HERE}fails")
    with pytest.raises(AssertionError, match=r"^in another process, it ends the process$"):
        ask(Subject(part=LayerNorm), f"{HERE}ends")
    assert ask(Subject(part=LayerNorm), f"{HERE}environment", "LC_ALL")[1] == "C"


def test_an_answer_that_comes_too_late_is_not_that_of_the_next_question() -> None:
    with pytest.raises(TookTooLong), at_most(0.5, ""):
        ask(Subject(part=LayerNorm), f"{HERE}sleeps")
    assert ask(Subject(part=LayerNorm), f"{HERE}environment", "LC_ALL")[1] == "C"


def test_a_class_inside_a_function_is_not_tried() -> None:
    class Local(LayerNorm):
        pass

    with pytest.raises(NotHere, match="a class inside a function or a script cannot be imported"):
        ask(Subject(part=Local), f"{HERE}environment", "LC_ALL")
