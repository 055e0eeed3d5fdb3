"""A run with a budget of time ends on time, and is the run that its resolved recipe says, bit for bit."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import tomli

from gptkit.run.events import Evaluation, Event, Finished, Planned, Resized, Sample, Started, Stopped, TimeUp
from gptkit.run.loop import run
from gptkit.run.prepare import prepare
from gptkit.run.resume import prepare_resume
from gptkit.run.stop import Stop
from gptkit.run.time_budget import Budget
from gptkit.run.time_pace import TimeController
from gptkit.training.train import Step
from tests.crash import result
from tests.small import RECIPE, finish, write_recipe

# Looked at so seldom that the bits of two runs are told apart by their steps.
SMALL = RECIPE.replace("eval_interval = 5", "eval_interval = 50").replace("sample_interval = 6", "")
SMALL = SMALL.replace("checkpoint_interval = 4", "checkpoint_interval = 40")
COSINE = "train.schedule=cosine"
WSD = "train.schedule={ use = 'wsd', warmup = 2, decay = 0.3 }"


@pytest.fixture(autouse=True)
def short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write little, because that takes most of the time."""
    monkeypatch.setattr("gptkit.run.loop.SAMPLE_TOKENS", 8)


def timed(recipe: Path, out: Path, seconds: float, overrides: Sequence[str] = ()) -> list[Event]:
    return list(run(prepare(recipe, overrides=overrides, out=out), budget=Budget(seconds, time.perf_counter())))


def steps_of(root: Path) -> int:
    return int(tomli.loads((root / "resolved.toml").read_text())["train"]["max_iters"])


@pytest.mark.parametrize("schedule", ["train.schedule=constant", COSINE])
def test_a_run_ends_on_time_and_can_be_repeated_without_one(tmp_path: Path, schedule: str) -> None:
    recipe, out = write_recipe(tmp_path, recipe=SMALL), tmp_path / "run"
    began = time.perf_counter()
    events = timed(recipe, out, 3.0, [schedule, "model.dropout=0.3"])
    took = time.perf_counter() - began
    assert events[0] == Started(out)
    assert isinstance(events[1], Planned)
    # Far looser than what it is made for: a machine of tests has other work, and three seconds are few.
    assert 1.5 < took < 5.5
    steps = [event for event in events if isinstance(event, Step)]
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert isinstance(events[-1], Finished)
    assert len(steps) == steps_of(out)
    assert isinstance(events[-2], Sample)
    assert events[-1].best.step <= len(steps)
    assert max(event.step for event in events if isinstance(event, Evaluation)) == len(steps)
    again = finish(out / "resolved.toml", tmp_path / "again")
    assert result(again) == result(out)


def sizes(monkeypatch: pytest.MonkeyPatch, schedule: str, *by_step: tuple[int, int], cut: int = 0) -> None:
    """Let runs have as many steps from a step on as is said, whatever the clock says."""

    def update(self: TimeController, taken: int) -> None:
        past = [(step, total) for step, total in by_step if taken >= step]
        self.taken, self.total = taken, ([(0, 60), *past][-1])[1]
        self.retimed = ((0, 60), *past) if past and schedule == COSINE else ()

    monkeypatch.setattr("gptkit.run.time_pace.TimeController.update", update)
    is_up = property(lambda self: self.taken == cut)
    monkeypatch.setattr("gptkit.run.time_pace.TimeController.is_up", is_up)


def lengths(schedule: str, *by_step: tuple[int, int]) -> list[str]:
    """Return the overrides of a run that is as long from its first step on."""
    retimed = [[0, 60], *map(list, by_step)] if schedule == COSINE else []
    return [schedule, f"train.max_iters={by_step[-1][1]}", f"train.retimed={retimed}"]


@pytest.mark.parametrize("schedule", [WSD, COSINE])
def test_a_run_whose_length_changes_is_the_run_that_set_out_to_be_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    changes = (10, 90), (20, 70), (45, 66)
    sizes(monkeypatch, schedule, *changes)
    recipe, out = write_recipe(tmp_path, recipe=SMALL), tmp_path / "run"
    events = timed(recipe, out, 5.0, [schedule, "train.log_interval=1"])
    assert [event.max_iters for event in events if isinstance(event, Resized)][-3:] == [90, 70, 66]
    assert steps_of(out) == 66
    whole = finish(recipe, tmp_path / "whole", [*lengths(schedule, *changes), "train.log_interval=1"])
    assert {**result(out), "state": ""} == {**result(whole), "state": ""}
    assert result(finish(out / "resolved.toml", tmp_path / "again"))["weights"] == result(out)["weights"]


@pytest.mark.parametrize(("after", "schedule"), [(15, WSD), (25, COSINE), (41, WSD)])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, schedule: str
) -> None:
    changes = (10, 90), (20, 70)
    sizes(monkeypatch, schedule, *changes)
    recipe, out = write_recipe(tmp_path, recipe=SMALL), tmp_path / "run"
    stop = Stop()
    for event in run(prepare(recipe, overrides=[schedule], out=out), stop, Budget(5.0, time.perf_counter())):
        if isinstance(event, Step) and event.number == after:
            stop.signal = 2
    assert event == Stopped(after)
    done = [change for change in changes if change[0] <= after]
    assert steps_of(out) == done[-1][1]
    for _ in run(prepare_resume(out)):
        pass
    assert result(out) == result(finish(recipe, tmp_path / "whole", lengths(schedule, *done)))


def test_a_loop_that_is_left_at_a_new_length_leaves_a_run_that_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes(monkeypatch, WSD, (10, 70))
    recipe, out, changes = write_recipe(tmp_path, recipe=SMALL), tmp_path / "run", [WSD, "train.log_interval=1"]
    events = run(prepare(recipe, overrides=changes, out=out), budget=Budget(5.0, time.perf_counter()))
    for event in events:
        if event == Resized(70):
            break
    events.close()
    assert (out / "checkpoints" / "last").read_text() == "step-000010-eval-pending\n"
    for _ in run(prepare_resume(out)):
        pass
    assert result(out) == result(finish(recipe, tmp_path / "whole", [*changes, "train.max_iters=70"]))


class Killed(BaseException):
    """The process has died."""


@pytest.mark.parametrize("schedule", [WSD, COSINE])
def test_a_run_killed_between_a_new_length_and_its_checkpoint_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    changes = (10, 90), (50, 70)
    sizes(monkeypatch, schedule, *changes)
    recipe, out = write_recipe(tmp_path, recipe=SMALL), tmp_path / "run"

    def killed(*_: object) -> None:
        raise Killed

    events = run(prepare(recipe, overrides=[schedule], out=out), budget=Budget(5.0, time.perf_counter()))
    for event in events:
        if isinstance(event, Step) and event.number == 51:
            break
    with monkeypatch.context() as patch:
        patch.setattr("gptkit.run.session.take", killed)
        with pytest.raises(Killed):
            list(events)
    # The last checkpoint is of a run of 90 steps, and the recipe of one of 70 by now.
    assert (steps_of(out), (out / "checkpoints" / "last").read_text()) == (70, "step-000050\n")
    for _ in run(prepare_resume(out)):
        pass
    assert result(out) == result(finish(recipe, tmp_path / "whole", lengths(schedule, *changes)))


def test_a_run_that_is_broken_off_is_evaluated_saved_and_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes(monkeypatch, COSINE, cut=33)
    recipe, out = write_recipe(tmp_path, recipe=SMALL), tmp_path / "run"
    events = timed(recipe, out, 5.0, ["train.schedule=cosine"])
    assert events[-1] == TimeUp(33, 60)
    assert [event.step for event in events if isinstance(event, Evaluation | Sample)] == [33, 33]
    assert (out / "checkpoints" / "last").read_text() == "step-000033\n"
    assert (out / "loss.png").is_file()
    for _ in run(prepare_resume(out)):
        pass
    whole = finish(recipe, tmp_path / "whole", ["train.schedule=cosine", "train.max_iters=60"])
    assert [result(each)[what] for each in (out, whole) for what in ("weights", "optimizer")] == 2 * [
        result(whole)[what] for what in ("weights", "optimizer")
    ]
