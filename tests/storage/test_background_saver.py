"""Training does not wait for the disk, and hears of what failed."""

import threading
from pathlib import Path

import pytest

from gptkit.errors import CheckpointError
from gptkit.run.loop import run
from gptkit.run.prepare import prepare
from gptkit.storage.background_saver import BackgroundSaver
from gptkit.storage.checkpoint_store import CheckpointStore
from gptkit.training.train import Step
from tests.small import write_recipe


def test_a_run_takes_steps_while_a_checkpoint_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, go = threading.Event(), threading.Event()
    real = CheckpointStore.put

    def slow(*arguments: object) -> None:
        assert go.wait(30)
        real(*arguments)  # type: ignore[arg-type]
        written.set()

    monkeypatch.setattr(CheckpointStore, "put", slow)
    options = [
        "train.checkpoint_interval=2",
        "train.eval_interval=0",
        "train.sample_interval=0",
        "train.max_iters=3",
    ]
    events = run(prepare(write_recipe(tmp_path), overrides=options, out=tmp_path / "run"))
    steps = [event for event in (next(events) for _ in range(4)) if isinstance(event, Step)]
    # Step 2 is being saved, and step 3 has been taken.
    assert ([step.number for step in steps], written.is_set()) == ([1, 2, 3], False)
    go.set()
    list(events)
    assert written.is_set()


def test_one_job_is_done_after_the_other() -> None:
    saver, done = BackgroundSaver(), []
    for number in range(5):
        saver.start(lambda number=number: done.append(number))  # type: ignore[misc]
    saver.wait()
    assert done == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("hear", ["start", "wait", "check"])
def test_a_failure_is_told_at_the_next_chance_and_once(hear: str) -> None:
    saver = BackgroundSaver()

    def fail() -> None:
        raise OSError(28, "No space left on device")

    saver.start(fail)
    while saver._thread is not None and saver._thread.is_alive():
        pass
    with pytest.raises(
        CheckpointError, match=r"^the checkpoint is not saved: \[Errno 28\] No space left on device$"
    ):
        {"start": lambda: saver.start(fail), "wait": saver.wait, "check": saver.check}[hear]()
    saver.wait()


def test_what_is_not_the_disks_fault_comes_as_it_is() -> None:
    saver = BackgroundSaver()

    def fail() -> None:
        raise CheckpointError("rotten")

    saver.start(fail)
    with pytest.raises(CheckpointError, match=r"^rotten$"):
        saver.wait()
