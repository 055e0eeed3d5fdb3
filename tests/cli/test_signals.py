"""Ctrl+C and SIGTERM in each phase of a run, once and twice; and an output whose reader has gone."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from gptkit.run.stop import Stop
from tests.run.test_crash import QUICK, ROOT
from tests.small import write_recipe

pytestmark = pytest.mark.exhaustive

CODES = {"interrupt": 130, "terminate": 143}
PHASES = ("step:2", "evaluate:1", "evaluate:2", "sample:1", "save:3", "save:25", "point:2", "retain:2")
ONCE = [
    *(f"interrupt@{phase}" for phase in PHASES),
    "terminate@step:2",
    "terminate@evaluate:1",
    "terminate@save:3",
]
# The second is another signal, because two of one kind that come together are one.
TWICE = [
    f"interrupt@{first},terminate@{second}"
    for first, second in (
        ("step:2", "step:2"),
        ("evaluate:1", "save:3"),
        ("sample:1", "save:43"),
        ("save:3", "save:3"),
        ("point:2", "point:2"),
        ("retain:2", "retain:2"),
    )
]
SETUP = ["interrupt@setup:1", "terminate@setup:1"]


@pytest.fixture(scope="module")
def interrupted() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=QUICK if os.access(QUICK, os.W_OK) else None) as directory:
        done = subprocess.run(
            [sys.executable, "-m", "tests.cli.interrupt", directory, *ONCE, *TWICE, *SETUP],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    return {"whole": report["whole"], **{row["fault"]: row for row in report["rows"]}}


@pytest.mark.parametrize("fault", [*ONCE, *TWICE])
def test_a_run_that_is_interrupted_is_whole_and_goes_on_to_the_same_bits(
    interrupted: dict[str, Any], fault: str
) -> None:
    row = interrupted[fault]
    assert (row["ended"], row["resumed"]) == (0, 0), row
    assert row["after"]["problems"] == []
    assert row["after"]["result"] == interrupted["whole"]


@pytest.mark.parametrize("fault", ONCE)
def test_the_first_signal_lets_the_step_end_saves_and_says_how_to_go_on(
    interrupted: dict[str, Any], fault: str
) -> None:
    row = interrupted[fault]
    assert row["code"] == CODES[fault.partition("@")[0]]
    (line,) = row["told"]
    assert line.startswith("stopped after step ")
    assert line.endswith(fault)
    assert " and saved. To resume: gptkit resume " in line


@pytest.mark.parametrize("fault", TWICE)
def test_the_second_signal_ends_it_at_once(interrupted: dict[str, Any], fault: str) -> None:
    row = interrupted[fault]
    assert row["code"] == 143
    (line,) = row["told"]
    assert line.startswith("stopped at once. To resume from the last save: gptkit resume ")


@pytest.mark.parametrize("fault", SETUP)
def test_in_set_up_nothing_is_written(interrupted: dict[str, Any], fault: str) -> None:
    row = interrupted[fault]
    assert row["code"] == CODES[fault.partition("@")[0]]
    assert row["told"] == ["stopped before the first step: nothing was written"]
    assert not row["is_there"]


def gptkit(directory: Path, **options: Any) -> "subprocess.Popen[str]":
    """Start a run that would take minutes."""
    recipe = write_recipe(directory)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    command = [sys.executable, "-m", "gptkit", "run", str(recipe), "--out", str(directory / "run")]
    many = ["--set", "train.max_iters=100000", "--set", "train.log_interval=1", "--set", "train.eval_interval=0"]
    return subprocess.Popen([*command, *many, "--set", "train.sample_interval=0"], **options)


def test_a_real_signal_to_a_real_process(tmp_path: Path) -> None:
    with gptkit(tmp_path) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("step "):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        told, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (143, "")
    assert f"To resume: gptkit resume {tmp_path / 'run'}\n" in told
    assert not (tmp_path / "run" / "lock").exists()


def test_a_run_whose_output_is_closed_goes_on(tmp_path: Path) -> None:
    with gptkit(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        metrics = tmp_path / "run" / "metrics.jsonl"
        while not metrics.exists() or metrics.read_bytes().count(b"\n") < 20:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        complaint = process.stderr.read()
        process.wait(timeout=60)
    assert (process.returncode, complaint) == (130, "")


def test_a_run_that_is_asked_within_what_can_be_broken_off_is_interrupted_there() -> None:
    stop = Stop()
    with pytest.raises(KeyboardInterrupt), stop.breakable():
        stop.ask(signal.SIGTERM)
    assert (stop.is_asked, stop.is_now, stop.exit_code) == (True, False, 143)
    with pytest.raises(KeyboardInterrupt), stop.breakable():
        pytest.fail("it was asked before")
    with pytest.raises(KeyboardInterrupt):
        stop.ask(signal.SIGINT)
    assert (stop.is_now, stop.exit_code) == (True, 130)


def test_signals_do_again_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Stop() as stop:
        assert signal.getsignal(signal.SIGINT) == stop.ask
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
