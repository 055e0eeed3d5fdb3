import json
import math
from itertools import groupby
from pathlib import Path

import pytest
import tomli
import torch

import gptkit
from gptkit.run.events import Estimate, Evaluation, Event, Finished, Sample
from gptkit.run.loop import run
from gptkit.run.prepare import PreparedRun, prepare
from gptkit.run.session import is_due
from gptkit.training.train import Step
from tests.small import RECIPE, finish, same_weights, write_recipe

PYTHON_DOCS = RECIPE.replace('{ use = "text", path = "text.txt" }', '"python_docs"')


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, sample_tokens: int, to_png: object
) -> tuple[PreparedRun, list[Event]]:
    """Return a run on the text that comes with Python, as outside tests, and all that happened in it."""
    directory = tmp_path_factory.mktemp("run")
    prepared = prepare(write_recipe(directory, recipe=PYTHON_DOCS), out=directory / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gptkit.run.loop.SAMPLE_TOKENS", sample_tokens)
        patch.setattr("gptkit.run.session.to_png", to_png)
        return prepared, list(run(prepared))


def rows(root: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]


def weights_of(root: Path) -> bytes:
    """Return the last weights of a run as they are on disk."""
    pointer = root / "checkpoints" / "last"
    return (pointer.parent / pointer.read_text().strip() / "model.safetensors").read_bytes()


def test_events_come_in_the_order_they_happen(finished: tuple[PreparedRun, list[Event]]) -> None:
    kinds = [[kind.__name__, len(list(events))] for kind, events in groupby(finished[1], type)]
    assert kinds == [
        ["Started", 1],
        ["Step", 5],
        ["Evaluation", 1],
        ["Step", 1],
        ["Sample", 1],
        ["Step", 4],
        ["Estimate", 1],
        ["Evaluation", 1],
        ["Step", 2],
        ["Evaluation", 1],
        ["Sample", 1],
        ["Finished", 1],
    ]


def test_every_file_of_a_run_is_there(finished: tuple[PreparedRun, list[Event]]) -> None:
    root = finished[0].out
    assert (root / "loss.png").read_bytes().startswith(b"\x89PNG")
    files = sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
    assert files == [
        "checkpoints/best",
        "checkpoints/last",
        *(
            f"checkpoints/step-0000{step}/{name}"
            for step in ("08", "10", "12")
            for name in ("manifest.json", "model.safetensors", "optimizer.safetensors", "state.json")
        ),
        "env.json",
        "loss.png",
        "metrics.jsonl",
        "origin.json",
        "recipe.toml",
        "resolved.toml",
        "samples/step-000006.txt",
        "samples/step-000012.txt",
        "tokenizer.json",
    ]
    assert (root / "recipe.toml").read_text() == PYTHON_DOCS


def test_metrics_are_what_the_events_say(finished: tuple[PreparedRun, list[Event]]) -> None:
    prepared, events = finished
    logged = [row for row in rows(prepared.out) if "loss" in row]
    assert [row["step"] for row in logged] == [2, 4, 6, 8, 10, 12]
    steps = {event.number: event for event in events if isinstance(event, Step)}
    assert [row["loss"] for row in logged] == [float(steps[int(row["step"])].loss) for row in logged]
    assert all(row["tokens_per_second"] > 0 and row["learning_rate"] == 1e-2 for row in logged)
    evaluations = [vars(event) for event in events if isinstance(event, Evaluation)]
    assert [row for row in rows(prepared.out) if "validation_loss" in row] == evaluations


def test_evaluations_are_of_the_model_and_the_best_is_the_lowest(
    finished: tuple[PreparedRun, list[Event]],
) -> None:
    evaluations = [event for event in finished[1] if isinstance(event, Evaluation)]
    assert [each.step for each in evaluations] == [5, 10, 12]
    lowest = math.inf
    for each in evaluations:
        assert each.is_best == (each.validation_loss < lowest)
        lowest = min(lowest, each.validation_loss)
        assert each.bits_per_character == pytest.approx(each.validation_loss / math.log(2))
    assert evaluations[-1].validation_loss < evaluations[0].validation_loss
    last = finished[1][-1]
    assert isinstance(last, Finished)
    assert last.best.validation_loss == lowest


def test_the_best_weights_are_those_of_the_lowest_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 2.0, 2.5])
    monkeypatch.setattr("gptkit.run.session.validation_loss", lambda model, tokens: next(losses))
    root = finish(write_recipe(tmp_path), tmp_path / "run")
    pointers = {name: (root / "checkpoints" / name).read_text().strip() for name in ("best", "last")}
    assert pointers == {"best": "step-000010", "last": "step-000012"}
    state = json.loads((root / "checkpoints" / "step-000010" / "state.json").read_text())
    assert (state["step"], state["best"]["validation_loss"]) == (10, 2.0)


def test_samples_are_the_events_text(finished: tuple[PreparedRun, list[Event]]) -> None:
    prepared, events = finished
    samples = {event.step: event.text for event in events if isinstance(event, Sample)}
    assert list(samples) == [6, 12]
    for step, text in samples.items():
        assert len(text) == 500
        file = prepared.out / "samples" / f"step-{step:06d}.txt"
        assert file.read_bytes().decode() == text


def test_the_estimate_is_of_all_steps(finished: tuple[PreparedRun, list[Event]]) -> None:
    durations = [event.seconds for event in finished[1] if isinstance(event, Step)][1:10]
    (estimate,) = (event for event in finished[1] if isinstance(event, Estimate))
    assert 12 * min(durations) <= estimate.seconds <= 12 * max(durations)


def test_bits_are_per_character_and_not_per_token(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, text="é€" * 300)
    events = list(
        run(prepare(recipe, overrides=["data.tokenizer=byte", "train.max_iters=1"], out=tmp_path / "run"))
    )
    (evaluation,) = (event for event in events if isinstance(event, Evaluation))
    assert evaluation.bits_per_character == pytest.approx(evaluation.validation_loss / math.log(2) * 5 / 2)


def test_a_resolved_recipe_run_again_gives_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    first = finish(write_recipe(tmp_path), tmp_path / "first", ["train.grad_clip=1.0"])
    again = finish(first / "resolved.toml", tmp_path / "again")
    assert weights_of(first) == weights_of(again)
    assert tomli.loads((first / "resolved.toml").read_text()) == tomli.loads((again / "resolved.toml").read_text())


def test_looking_more_often_does_not_change_the_weights(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    short = ["model.dropout=0.5", "train.max_iters=3"]
    seldom = [*short, *(f"train.{what}_interval=0" for what in ("eval", "sample", "checkpoint"))]
    often = [*short, *(f"train.{what}_interval=1" for what in ("eval", "sample", "checkpoint", "log"))]
    assert weights_of(finish(recipe, tmp_path / "a", seldom)) == weights_of(finish(recipe, tmp_path / "b", often))


def test_with_every_interval_0_all_is_done_once_at_the_end(tmp_path: Path) -> None:
    seldom = [f"train.{what}_interval=0" for what in ("eval", "sample", "checkpoint")]
    root = finish(write_recipe(tmp_path), tmp_path / "run", seldom)
    assert [row["step"] for row in rows(root) if "validation_loss" in row] == [12]
    assert [file.name for file in (root / "samples").iterdir()] == ["step-000012.txt"]


def test_a_run_that_is_stopped_leaves_its_curves_and_its_best_weights(tmp_path: Path) -> None:
    steps = run(prepare(write_recipe(tmp_path), out=tmp_path / "run"))
    for event in steps:
        if isinstance(event, Step) and event.number == 7:
            break
    steps.close()
    assert (tmp_path / "run" / "loss.png").is_file()
    assert gptkit.load(tmp_path / "run").model.n_parameters > 0


@pytest.mark.parametrize("chosen", [True, False])
def test_a_run_that_need_not_be_deterministic_leaves_the_callers_choice(tmp_path: Path, chosen: bool) -> None:
    torch.use_deterministic_algorithms(chosen)
    try:
        finish(write_recipe(tmp_path), tmp_path / "run", ["train.max_iters=1"])
        assert torch.are_deterministic_algorithms_enabled() is chosen
    finally:
        torch.use_deterministic_algorithms(False)


PLUGIN = """
from gptkit import hookimpl
from gptkit.interfaces import Dims, FeedForward
from gptkit.nn import Linear

class TanhFeedForward(FeedForward):
    def __init__(self, dims: Dims, *, gain: float = 1.0) -> None:
        super().__init__(dims)
        self.gain, self.mix = gain, Linear(dims.n_embd, dims.n_embd)

    def forward(self, x):
        return self.gain * self.mix(x).tanh()

@hookimpl
def gptkit_register(register):
    register("tanh", TanhFeedForward)
"""


def test_a_run_with_a_plugin_works_alone_after_the_plugin_is_gone(tmp_path: Path) -> None:
    plugin = tmp_path / "tanh.py"
    plugin.write_text(PLUGIN)
    recipe = write_recipe(tmp_path, recipe=f'plugins = ["tanh.py"]\n{RECIPE}')
    overrides = ["model.feed_forward={ use = 'tanh', gain = 0.5 }"]
    root = finish(recipe, tmp_path / "run", overrides)
    plugin.unlink()
    recipe.unlink()
    assert (root / "plugins" / "tanh.py").read_text() == PLUGIN
    loaded = gptkit.load(root, checkpoint="last", trust_plugins=True)
    assert loaded.recipe.parts["feed_forward"].options == {"gain": 0.5}
    again = finish(root / "resolved.toml", tmp_path / "again", trust_plugins=True)
    assert same_weights(loaded.model, gptkit.load(again, checkpoint="last", trust_plugins=True).model)


@pytest.mark.parametrize(("step", "interval", "due"), [(4, 2, True), (5, 2, False), (1, 1, True), (4, 0, False)])
def test_an_interval_is_so_many_steps_and_0_is_never(step: int, interval: int, due: bool) -> None:
    assert is_due(step, interval) is due
