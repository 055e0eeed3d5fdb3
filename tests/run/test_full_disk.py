"""A disk that is full, as the system says it: nothing is called saved, and a run goes on when there is room."""

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gptkit.errors import CheckpointError, DataError
from gptkit.run.loop import run
from gptkit.run.prepare import prepare
from gptkit.run.resume import prepare_resume
from gptkit.storage.run_writer import RunWriter
from tests.crash import CRASHING, finish, result
from tests.small import write_recipe


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gptkit.run.loop.SAMPLE_TOKENS", 4)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let this process write no byte behind this one in any file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_cannot_grow_is_not_saved_and_the_run_goes_on_later(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=CRASHING)
    finish(prepare(recipe, out=tmp_path / "whole"))
    prepared = prepare(recipe, out=tmp_path / "run")
    with files_of_at_most(9000), pytest.raises(CheckpointError, match=r"is not saved: .*File too large"):
        list(run(prepared))
    assert RunWriter(tmp_path / "run").checkpoints.names() == []
    finish(prepare_resume(tmp_path / "run"))
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_tokens_that_have_no_room_are_told_with_what_to_do(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    with files_of_at_most(1000), pytest.raises(DataError, match=r"Set TMPDIR to a directory with room$"):
        prepare(recipe, out=tmp_path / "run")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk with room for one checkpoint and no second."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", disk], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_disk_without_room_keeps_what_was_saved_and_the_run_goes_on_with_more(
    tmp_path: Path, small_disk: Path
) -> None:
    recipe = write_recipe(tmp_path, recipe=CRASHING)
    finish(prepare(recipe, out=tmp_path / "whole"))
    with pytest.raises(CheckpointError, match=r"is not saved: .*No space left on device"):
        finish(prepare(recipe, out=small_disk / "run"))
    found = RunWriter(small_disk / "run")
    assert found.checkpoints.names() == ["step-000002"]
    assert not any(found.verify().values())
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    finish(prepare_resume(small_disk / "run"))
    assert result(small_disk / "run") == result(tmp_path / "whole")
