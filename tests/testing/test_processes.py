"""Checks that run in several processes have the outcomes that they have in one."""

import os
import signal
import time
from dataclasses import replace
from multiprocessing import active_children, get_context

import pytest

from gptkit.errors import UsageError
from gptkit.testing.check import Check
from gptkit.testing.checks import CHECKS
from gptkit.testing.outcome import Outcome
from gptkit.testing.processes import CAN_FORK, in_processes

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="only Linux forks what PyTorch has loaded")

SOME = CHECKS[:7]


def held(check: Check) -> Outcome:
    return Outcome(check.id, check.promise, "held", str(os.getpid()), 3)


def test_outcomes_come_in_order_from_several_processes() -> None:
    def slower_at_first(check: Check) -> Outcome:
        time.sleep(0.05 if check is SOME[0] else 0.01)
        return held(check)

    found = list(in_processes(SOME, slower_at_first, 2))
    assert [outcome.check for outcome in found] == [check.id for check in SOME]
    processes = {outcome.why for outcome in found}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes


def test_what_was_raised_stays_in_its_process() -> None:
    class LocalError(Exception):
        """Cannot be pickled."""

    def broken(check: Check) -> Outcome:
        return Outcome(check.id, check.promise, "broken", "no", 1, error=LocalError())

    assert {(outcome.verdict, outcome.error) for outcome in in_processes(SOME, broken, 2)} == {("broken", None)}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_check_in_which_the_process_dies_is_broken_and_the_others_run(processes: int) -> None:
    def deadly(check: Check) -> Outcome:
        if check is SOME[2]:
            os.kill(os.getpid(), signal.SIGKILL)
        if check is SOME[4]:
            os._exit(3)
        return held(check)

    found = list(in_processes(SOME, deadly, processes))
    assert [outcome.verdict for outcome in found] == ["held", "held", "broken", "held", "broken", "held", "held"]
    assert found[2].why.startswith("the process ended with signal 9; to see where: ")
    assert f"--only {SOME[2].id}" in found[2].why
    assert found[4].why.startswith("the process ended with exit code 3; ")


def test_wrong_usage_is_raised() -> None:
    def misused(check: Check) -> Outcome:
        raise UsageError("no such input")

    with pytest.raises(UsageError, match="no such input"):
        list(in_processes(SOME, misused, 2))
    assert active_children() == []


def test_a_part_may_start_processes_of_its_own() -> None:
    def starting(check: Check) -> Outcome:
        child = get_context("fork").Process(target=os.getpid)
        child.start()
        child.join()
        return replace(held(check), why=str(child.exitcode))

    assert {outcome.why for outcome in in_processes(SOME, starting, 2)} == {"0"}


def test_processes_end_with_the_reader_even_if_they_hang() -> None:
    def hanging(check: Check) -> Outcome:
        if check is not SOME[0]:
            time.sleep(60)
        return held(check)

    found = in_processes(SOME, hanging, 2)
    next(found)
    assert len(active_children()) == 2
    found.close()
    assert active_children() == []
