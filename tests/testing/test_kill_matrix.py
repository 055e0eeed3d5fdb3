"""The kit is itself tested: each broken part is caught, and the right part that it breaks is not."""

import subprocess
import sys
from functools import cache

import pytest

from gptkit.interfaces import KINDS
from gptkit.testing.check import Check
from gptkit.testing.checks import CHECKS
from gptkit.testing.outcome import Depth, Outcome
from gptkit.testing.prove import prove
from gptkit.testing.subject import Subject
from tests.testing import broken_graphs
from tests.testing.mutant import right_part_of
from tests.testing.mutants import CAUGHT_BY, TABLES

pytestmark = pytest.mark.exhaustive

BROKEN = Depth(inputs=50, shrink=False)
# Few, because the built-in parts are proven on many inputs by their own tests.
RIGHT = Depth(inputs=10, shrink=False)
BY_ID = {check.id: check for check in CHECKS}
PAIRS = [(mutant, BY_ID[id]) for mutant, ids in CAUGHT_BY.items() for id in ids]
NEEDS_AN_ACCELERATOR = {check.id for check in CHECKS if check.id.endswith("_in_float16")}
# Takes seconds for each mutant and needs a C++ compiler; `compiles_to_one_graph` is the same law without.
NEEDS_INDUCTOR = {"compiled_equals_eager"}


def tried(mutant: type, check: Check) -> Outcome:
    return prove(check, Subject(part=mutant), BROKEN)


@cache
def tried_on_right_part(part: type, check: Check) -> Outcome:
    return prove(check, Subject(part=part), RIGHT)


@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        pytest.param(mutant, check, id=f"{mutant.__module__.rpartition('.')[2]}.{mutant.__name__}-{check.id}")
        for mutant, check in PAIRS
        if mutant not in broken_graphs.CAUGHT_BY
    ],
)
def test_it_is_caught_and_the_right_part_is_not(mutant: type, check: Check) -> None:
    right = tried_on_right_part(right_part_of(mutant), check)
    assert right.verdict != "broken", right.why
    outcome = tried(mutant, check)
    assert (outcome.verdict, outcome.check) == ("broken", check.id)
    assert outcome.why


COMPILE = """
import sys
from tests.testing import broken_graphs, test_kill_matrix
from tests.testing.mutant import right_part_of
for mutant, ids in broken_graphs.CAUGHT_BY.items():
    for id in ids.split():
        check = test_kill_matrix.BY_ID[id]
        right = test_kill_matrix.tried_on_right_part(right_part_of(mutant), check)
        broken = test_kill_matrix.tried(mutant, check)
        if (right.verdict, broken.verdict) != ("held", "broken"):
            sys.exit(f"{mutant.__name__} {id}: right {right.verdict} {right.why}, broken {broken.verdict}")
"""


def test_what_breaks_a_graph_is_caught() -> None:
    # Checking annotations at run time breaks the graph too, so this runs in a process without it.
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_every_check_catches_something() -> None:
    named = {check.id for _, check in PAIRS}
    assert set(BY_ID) - named == NEEDS_AN_ACCELERATOR | NEEDS_INDUCTOR


def test_every_mutant_breaks_a_part_of_its_own_kind() -> None:
    for mutant, check in PAIRS:
        subject = Subject(part=mutant)
        assert subject.kind == Subject(part=right_part_of(mutant)).kind
        assert check.concerns(subject)
        assert not check.why_not_applicable(subject)


def test_no_broken_part_is_left_out() -> None:
    for table in TABLES:
        for name, part in vars(table).items():
            if (
                isinstance(part, type)
                and part.__module__ == table.__name__
                and issubclass(part, tuple(KINDS.values()))
            ):
                assert part in CAUGHT_BY, name
