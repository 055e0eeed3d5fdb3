"""A run that is killed, or fails to write, at any moment of a save goes on to the bits it would have had."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.exhaustive

ROOT = Path(__file__).parents[2]
# Where it is quick: no disk is waited for, and a killed process leaves there what it leaves on a disk.
QUICK = Path("/dev/shm")
KILLS = ("kill@save", "kill@point", "kill@retain")
ERRORS = ("EIO@save.fsync", "EIO@point.fsync", "EIO@retain.fsync", "ENOSPC@save.write", "EPERM@save.rename")
MORE_ERRORS = ("EXDEV@save.rename", "EXDEV@point.rename", "EIO@point.rename", "EPERM@retain.rename")


def report(*faulty: str) -> dict[str, Any]:
    """Return what came of each fault."""
    with tempfile.TemporaryDirectory(dir=QUICK if os.access(QUICK, os.W_OK) else None) as directory:
        done = subprocess.run(
            [sys.executable, "-m", "tests.crash", directory, *faulty],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def killed() -> dict[str, Any]:
    return report(*KILLS)


@pytest.fixture(scope="module")
def failed() -> dict[str, Any]:
    return report(*ERRORS, *MORE_ERRORS)


def test_every_boundary_was_a_death(killed: dict[str, Any]) -> None:
    reached = killed["whole"]["reached"]
    # Four files, each in two halves, with their manifest: nothing may have gone missing from the enumeration.
    assert reached["save.write"] == 2 * 2 * 4
    assert reached["save.fsync"] == 2 * (4 + 2)
    assert reached["save.rename"] == 2
    assert reached["point.rename"] == 2 * 2
    assert reached["retain.rename"] == 1
    assert len(killed["rows"]) == reached["save"] + reached["point"] + reached["retain"] > 70
    assert {row["ended"] for row in killed["rows"]} == {-9}


def test_a_run_that_was_killed_is_whole_and_goes_on_to_the_same_bits(killed: dict[str, Any]) -> None:
    for row in killed["rows"]:
        assert row["resumed"] == 0, row
        assert row["after"]["problems"] == [], row
        assert row["after"]["result"] == killed["whole"]["result"], row


def test_what_fails_is_never_reported_as_saved(failed: dict[str, Any]) -> None:
    assert len(failed["rows"]) > 40
    for row in failed["rows"]:
        assert row["ended"] == 4, row
        assert row["told"].startswith("the checkpoint is not saved: "), row
        assert row["fault"] in row["told"]


def test_a_run_that_could_not_write_is_whole_and_goes_on_to_the_same_bits(failed: dict[str, Any]) -> None:
    for row in failed["rows"]:
        assert row["resumed"] == 0, row
        assert row["after"]["problems"] == [], row
        assert row["after"]["result"] == failed["whole"]["result"], row
