"""One run has one writer: the second is told of the first, and a dead one is in nobody's way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gptkit.errors import UsageError
from gptkit.run.events import Started
from gptkit.run.loop import run
from gptkit.run.prepare import prepare
from gptkit.run.resume import prepare_resume
from gptkit.storage.file_lock import Lock
from gptkit.training.train import Step
from tests.small import write_recipe

HOLDER = """
import os, sys
from pathlib import Path
from gptkit.storage.file_lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
os._exit(1)
"""


def holder(file: Path) -> "subprocess.Popen[str]":
    """Start a process that holds the lock until its input is closed, and then dies without a word."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as process:
        with pytest.raises(UsageError) as caught:
            Lock(tmp_path / "lock")
        assert str(caught.value) == (
            f"{tmp_path} is being written by process {process.pid}: one run has one writer. Wait for it, or stop "
            "it first"
        )
        assert caught.value.exit_code == 2
        process.communicate()


def test_the_lock_of_a_dead_process_is_recovered(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as process:
        process.kill()
    assert (tmp_path / "lock").read_text() == f"{process.pid}\n"
    lock = Lock(tmp_path / "lock")
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    lock.release()
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_released_can_be_taken_again(tmp_path: Path) -> None:
    first = Lock(tmp_path / "lock")
    with pytest.raises(UsageError, match=f"by process {os.getpid()}:"):
        Lock(tmp_path / "lock")
    first.release()
    Lock(tmp_path / "lock").release()


def test_a_lock_file_that_says_something_else_names_nobody(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    (tmp_path / "lock").write_bytes(b"\x1b[2J")
    with pytest.raises(UsageError, match="is being written by another process: "):
        Lock(tmp_path / "lock")
    lock.release()


def test_a_run_is_locked_from_its_first_step_to_its_last(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    events = run(prepare(recipe, overrides=["train.max_iters=2"], out=tmp_path / "run"))
    assert next(events) == Started(tmp_path / "run")
    assert isinstance(next(events), Step)
    with pytest.raises(UsageError, match=r"run is being written by process \d+: one run has one writer\."):
        prepare_resume(tmp_path / "run")
    with pytest.raises(UsageError, match=r"run has something in it: a run starts in a new or an empty directory$"):
        prepare(recipe, out=tmp_path / "run")
    list(events)
    assert not (tmp_path / "run" / "lock").exists()
