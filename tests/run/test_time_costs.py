"""What a run's work takes is measured on the model itself, which nobody can tell afterwards."""

from pathlib import Path

import pytest
import torch

from gptkit.errors import UsageError
from gptkit.run.prepare import PreparedRun, prepare
from gptkit.run.step_count import fewest_steps, schedule_maker, steps_alike
from gptkit.run.time_budget import Budget, Costs
from gptkit.run.time_costs import measure_costs
from gptkit.run.time_plan import plan_steps
from tests.small import write_recipe


def small_prepared(tmp_path: Path, *overrides: str) -> PreparedRun:
    return prepare(write_recipe(tmp_path / "recipe"), overrides=overrides, out=tmp_path / "out" / "run")


def test_measuring_changes_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    prepared = small_prepared(tmp_path, "train.optimizer.weight_decay=0.5")
    before = {name: tensor.clone() for name, tensor in prepared.model.state_dict().items()}
    random = torch.get_rng_state()
    files = sorted(tmp_path.rglob("*"))
    costs, measured = measure_costs(prepared, 0.1, 0, 50)
    assert measured >= 2
    assert all(seconds > 0 for seconds in vars(costs).values())
    assert sorted(tmp_path.rglob("*")) == files
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(tensor, before[name]) for name, tensor in prepared.model.state_dict().items())
    assert all(weight.grad is None for weight in prepared.model.parameters())


def test_steps_by_which_a_run_may_correct_itself_are_not_measured_first(tmp_path: Path) -> None:
    prepared = small_prepared(tmp_path)
    assert measure_costs(prepared, 0.2, 10**6, 1)[1] == 2
    assert measure_costs(prepared, 0.2, 0, 1)[1] > 2


@pytest.mark.parametrize(
    ("schedule", "free", "least"),
    [
        ("constant", 100, 1),
        ("cosine", 1, 1),
        ("{ use = 'cosine', warmup = 7 }", 8, 8),
        ("{ use = 'wsd', warmup = 10, decay = 0.5 }", 56, 11),
    ],
)
def test_a_schedule_says_how_long_a_runs_length_is_free(
    tmp_path: Path, schedule: str, free: int, least: int
) -> None:
    make = schedule_maker(small_prepared(tmp_path, f"train.schedule={schedule}"))
    assert (steps_alike(make, 100), fewest_steps(make)) == (free, least)


def at(seconds: float) -> object:
    """Return a clock that stands still."""
    return lambda: seconds


@pytest.fixture
def known_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = Costs(step=2.0, evaluation=10.0, sample=3.0, snapshot=0.5, ending=1.0)
    monkeypatch.setattr("gptkit.run.time_plan.measure_costs", lambda *_: (costs, 5))


def test_a_plan_fills_the_time_that_is_left(tmp_path: Path, known_costs: None) -> None:
    prepared = small_prepared(tmp_path, "train.eval_interval=10", "train.sample_interval=0", "train.schedule=wsd")
    sized, planned = plan_steps(prepared, Budget(120.0, 1000.0), 500, at(1020.0))  # type: ignore[arg-type]
    # 30 steps are 60 s, and 3 evaluations, 1 sample, 8 saves and the end 38 s; a step more is also an evaluation.
    assert (planned.max_iters, planned.overhead, sized.resolved.train.max_iters) == (30, 38.0, 30)
    assert (planned.budget, planned.spent, planned.measured) == (120.0, 20.0, 5)
    # The rest of the recipe, and the experiment that was handed in, are as they were.
    assert prepared.resolved.train.max_iters == 12
    assert sized.resolved.document == {
        **prepared.resolved.document,
        "train": {**prepared.resolved.document["train"], "max_iters": 30},
    }


@pytest.mark.usefixtures("known_costs")
@pytest.mark.parametrize(
    ("schedule", "seconds", "needs", "enough"),
    [
        ("constant", 30.0, "one step", 44),
        ("{ use = 'wsd', warmup = 3 }", 40.0, "the 4 steps that schedule 'wsd' needs", 51),
    ],
)
def test_a_time_too_short_is_refused_with_what_was_found(
    tmp_path: Path, schedule: str, seconds: float, needs: str, enough: int
) -> None:
    prepared = small_prepared(tmp_path, f"train.schedule={schedule}")
    with pytest.raises(UsageError) as caught:
        plan_steps(prepared, Budget(seconds, 1000.0), 500, at(1020.0))  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"--time of {seconds:g} s is too short for {needs}: setting up and measuring took 20.0 s, a step takes "
        "2 s, an evaluation 10.0 s, a sample 3.0 s, saving and drawing at the end 1.0 s. Expected at least: "
        f"--time {enough}s"
    )


def test_a_number_of_steps_beside_a_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        plan_steps(small_prepared(tmp_path, "train.max_iters=9"), Budget(60.0, 0.0), 500)
    assert str(caught.value) == (
        "--time and --set train.max_iters=9: both say how many steps to take. Leave one out"
    )
