"""A run that goes on is the run that never stopped, bit for bit, or is refused with what is different."""

import json
import re
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

import gptkit
from gptkit.decoding.text import stream_text
from gptkit.errors import CheckpointError, DataError, GptkitError, RecipeError, UsageError
from gptkit.run.events import Stopped
from gptkit.run.loop import run
from gptkit.run.prepare import prepare
from gptkit.run.resume import MAY_CHANGE, fixed, prepare_resume
from gptkit.run.stop import Stop
from gptkit.storage.checkpoint import to_json
from gptkit.storage.run_reader import RunReader
from gptkit.training.train import Step
from tests.crash import result
from tests.small import RECIPE, TEXT, finish, write_recipe

SMALL = RECIPE.replace("max_iters = 12", "max_iters = 4").replace("eval_interval = 5", "eval_interval = 3")
SMALL = SMALL.replace("n_layer = 1", "n_layer = 2").replace("checkpoint_interval = 4", "checkpoint_interval = 0")
PRECISIONS = ["fp32", "bf16"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write little and draw nothing, because that takes most of the time."""
    monkeypatch.setattr("gptkit.run.loop.SAMPLE_TOKENS", 8)
    monkeypatch.setattr("gptkit.run.session.to_png", lambda figure: b"")


def stopped(recipe: Path, out: Path, after: int, overrides: Sequence[str] = ()) -> Path:
    """Run until some steps are taken, ask the run to stop, and return its directory."""
    stop = Stop()
    last = None
    for event in run(prepare(recipe, overrides=overrides, out=out), stop):
        if isinstance(event, Step) and event.number == after:
            stop.signal = 2
        last = event
    assert last == Stopped(after)
    return out


def go_on(root: Path, overrides: Sequence[str] = (), **named: object) -> Path:
    for _ in run(prepare_resume(root, overrides=overrides, **named)):  # type: ignore[arg-type]
        pass
    return root


def refusal(root: Path, kind: type[GptkitError], *overrides: str, **named: object) -> str:
    with pytest.raises(kind) as caught:
        prepare_resume(root, overrides=overrides, **named)  # type: ignore[arg-type]
    # Whatever is refused leaves the run to others.
    assert not (root / "lock").exists()
    return str(caught.value)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_stopped_after_any_step_it_goes_on_to_the_same_bits(tmp_path: Path, dtype: str, optimizer: str) -> None:
    recipe = write_recipe(tmp_path, recipe=SMALL)
    options = [
        f"train.dtype={dtype}",
        f"train.optimizer.use={optimizer}",
        "model.dropout=0.3",
        "train.grad_clip=0.5",
    ]
    options += [
        "train.grad_accumulation=2",
        "train.log_interval=1",
        "train.schedule={ use = 'cosine', warmup = 1 }",
    ]
    whole = result(finish(recipe, tmp_path / "whole", options))
    for after in (1, 2, 3):
        assert result(go_on(stopped(recipe, tmp_path / f"stopped-{after}", after, options))) == whole, after


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [*PRECISIONS, "fp16"])
def test_on_cuda_with_deterministic_algorithms_it_goes_on_to_the_same_bits(tmp_path: Path, dtype: str) -> None:
    recipe = write_recipe(tmp_path, recipe=SMALL)
    options = [f"train.dtype={dtype}", "train.device=cuda", "train.deterministic=true", "model.dropout=0.3"]
    whole = result(finish(recipe, tmp_path / "whole", options))
    for after in (1, 2, 3):
        assert result(go_on(stopped(recipe, tmp_path / f"stopped-{after}", after, options))) == whole, after


def test_it_may_begin_or_cease_to_compute_activations_twice(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=SMALL)
    whole = result(finish(recipe, tmp_path / "whole", ["model.dropout=0.3"]))
    for before, after in (("true", "false"), ("false", "true")):
        options = ["model.dropout=0.3", f"train.checkpoint_activations={before}"]
        root = stopped(recipe, tmp_path / before, 2, options)
        assert result(go_on(root, [f"train.checkpoint_activations={after}"])) == whole


def test_what_is_compiled_goes_on_as_it_began() -> None:
    compiled = {"train": {"compile": True, "checkpoint_activations": True}}
    assert fixed(compiled) != fixed({"train": {"compile": True, "checkpoint_activations": False}})
    # Such a run began before there was the key.
    assert fixed({"train": {"compile": True}}) == fixed(
        {"train": {"compile": True, "checkpoint_activations": False}}
    )
    assert "train.checkpoint_activations" not in fixed({"train": {"compile": False}})


def test_stopped_again_and_again_it_ends_in_the_same_bits(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=SMALL)
    whole = result(finish(recipe, tmp_path / "whole"))
    root = stopped(recipe, tmp_path / "run", 1)
    for after in (2, 3):
        stop = Stop()
        for event in run(prepare_resume(root), stop):
            if isinstance(event, Step) and event.number == after:
                stop.signal = 15
    assert result(go_on(root)) == whole


def test_a_run_without_a_checkpoint_goes_on_from_its_beginning(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=SMALL)
    whole = result(finish(recipe, tmp_path / "whole"))
    root = finish(recipe, tmp_path / "run")
    shutil.rmtree(root / "checkpoints")
    (root / "checkpoints").mkdir()
    assert result(go_on(root)) == whole


def test_rows_and_half_rows_after_the_checkpoint_are_written_again_once(tmp_path: Path) -> None:
    root = stopped(write_recipe(tmp_path, recipe=SMALL), tmp_path / "run", 2, ["train.log_interval=1"])
    with (root / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "loss": 99}\n{"step": 4, "lo')
    go_on(root)
    rows = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4]
    assert all(row["loss"] < 99 for row in rows if "loss" in row)


@pytest.mark.parametrize("what", ["evaluate", "generate_sample"])
def test_an_evaluation_or_sample_that_is_broken_off_is_done_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    recipe = write_recipe(tmp_path, recipe=SMALL)
    options = ["train.eval_interval=2", "train.sample_interval=2"]
    whole = result(finish(recipe, tmp_path / "whole", options))
    stop = Stop()

    def interrupted(*_: object) -> None:
        stop.ask()

    with monkeypatch.context() as patch:
        patch.setattr(f"gptkit.run.session.Session.{what}", interrupted)
        assert list(run(prepare(recipe, overrides=options, out=tmp_path / "run"), stop))[-1] == Stopped(2)
    assert result(go_on(tmp_path / "run")) == whole
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "validation_loss" in row] == [2, 4]


def as_0_1_wrote_it(root: Path) -> None:
    """Give the last checkpoint of a run, saved before its evaluation, the names that it had in release 0.1."""
    checkpoints = root / "checkpoints"
    new, old = checkpoints / "step-000002-eval-pending", checkpoints / "step-000002-owed"
    new.rename(old)
    state = (old / "state.json").read_bytes().replace(b'"eval_pending": true', b'"is_owed": true')
    (old / "state.json").write_bytes(state)
    manifest = json.loads((old / "manifest.json").read_text())
    manifest["files"]["state.json"] = {"size": len(state), "sha256": sha256(state).hexdigest()}
    (old / "manifest.json").write_bytes(to_json(manifest))
    (checkpoints / "last").write_text("step-000002-owed\n")


def test_a_run_of_release_0_1_verifies_samples_and_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=SMALL)
    options = ["train.eval_interval=2", "train.sample_interval=2"]
    whole = result(finish(recipe, tmp_path / "whole", options))
    root = tmp_path / "run"
    for event in run(prepare(recipe, overrides=options, out=root)):
        if isinstance(event, Step) and event.number == 2:
            break
    weights = (root / "checkpoints" / "step-000002-eval-pending" / "model.safetensors").read_bytes()
    as_0_1_wrote_it(root)
    assert RunReader(root).verify() == {"origin.json": [], "step-000002-owed": []}
    trained = gptkit.load(root, checkpoint="last")
    text = "".join(stream_text(trained.model, trained.tokenizer, "1", 8, seed=0))
    assert (root / "checkpoints" / "step-000002-owed" / "model.safetensors").read_bytes() == weights
    assert result(go_on(root)) == whole
    # The checkpoint after the evaluation of step 2 has taken its place as the best.
    assert json.loads((root / "checkpoints" / "step-000002" / "state.json").read_text())["eval_pending"] is False
    again = gptkit.load(root, checkpoint="step-000002")
    assert "".join(stream_text(again.model, again.tokenizer, "1", 8, seed=0)) == text


def test_intervals_and_keep_may_change_and_leave_weights_and_optimizer_as_they_were(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=SMALL)
    whole = result(finish(recipe, tmp_path / "whole"))
    often = [f"train.{what}_interval=1" for what in ("eval", "log", "sample", "checkpoint")]
    other = result(go_on(stopped(recipe, tmp_path / "run", 2), [*often, "train.keep=1", "train.device=auto"]))
    assert (other["weights"], other["optimizer"]) == (whole["weights"], whole["optimizer"])


def test_more_steps_are_those_of_a_run_that_was_to_take_as_many(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=SMALL)
    long = finish(recipe, tmp_path / "long", ["train.max_iters=7"])
    root = go_on(finish(recipe, tmp_path / "run"), ["train.max_iters=7"])
    weights = [
        (each / "checkpoints" / "step-000007" / name).read_bytes()
        for each in (long, root)
        for name in ("model.safetensors", "optimizer.safetensors")
    ]
    assert weights[:2] == weights[2:]
    assert "max_iters = 7" in (root / "resolved.toml").read_text()


def test_wsd_may_grow_before_its_decay(tmp_path: Path) -> None:
    schedule = "train.schedule={ use = 'wsd', warmup = 1, decay = 0.5 }"
    root = stopped(write_recipe(tmp_path, recipe=SMALL), tmp_path / "run", 2, [schedule])
    prepare_resume(root, overrides=["train.max_iters=8"])


def test_cosine_cannot_change_its_length_and_says_what_would_differ(tmp_path: Path) -> None:
    root = stopped(write_recipe(tmp_path, recipe=SMALL), tmp_path / "run", 2, ["train.schedule=cosine"])
    assert refusal(root, RecipeError, "train.max_iters=8") == (
        "--set train.max_iters=8  train.max_iters  cannot change from 4 to 8 with schedule 'cosine': it would "
        "have scaled the learning rate of step 2 by 0.96194, and it was 0.853553. A run goes on as if it had "
        "never stopped; 'constant', and 'wsd' before its decay, can"
    )


def test_fewer_steps_are_those_of_a_run_that_was_to_take_as_few(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=SMALL)
    short = result(finish(recipe, tmp_path / "short", ["train.max_iters=3"]))
    assert result(go_on(stopped(recipe, tmp_path / "run", 2), ["train.max_iters=3"])) == short


def test_fewer_steps_than_were_taken_are_refused(tmp_path: Path) -> None:
    root = stopped(write_recipe(tmp_path, recipe=SMALL), tmp_path / "run", 2)
    assert refusal(root, RecipeError, "train.max_iters=1") == (
        "--set train.max_iters=1  train.max_iters  is 1 now, and 2 steps have been taken"
    )


def test_a_run_that_is_done_says_how_it_could_go_on(tmp_path: Path) -> None:
    root = finish(write_recipe(tmp_path, recipe=SMALL), tmp_path / "run")
    assert refusal(root, UsageError) == f"{root} has taken all its 4 steps. To go on: --set train.max_iters=8"


CHANGES = {
    "train.batch_size=5": "train.batch_size  was 4 when the run began, and is 5 now",
    "train.seed=1": "train.seed  was 1337 when the run began, and is 1 now",
    "train.dtype=bf16": "train.dtype  was 'fp32' when the run began, and is 'bf16' now",
    "model.dropout=0.2": "model.dropout  was 0.1 when the run began, and is 0.2 now",
    "model.attention=naive": "model.attention.use  was 'sdpa' when the run began, and is 'naive' now",
    "train.grad_clip=0.5": "train.grad_clip  was 0.0 when the run began, and is 0.5 now",
    "data.tokenizer=byte": "data.tokenizer.use  was 'char' when the run began, and is 'byte' now",
}


@pytest.fixture(scope="module")
def halfway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("halfway")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gptkit.run.loop.SAMPLE_TOKENS", 8)
        stopped(write_recipe(directory, recipe=SMALL), directory / "run", 2)
    return directory


@pytest.fixture
def root(halfway: Path, tmp_path: Path) -> Path:
    """Return a run that stopped halfway, and that a test may change."""
    return shutil.copytree(halfway, tmp_path / "copy") / "run"


@pytest.mark.parametrize(("override", "told"), CHANGES.items())
def test_a_changed_recipe_is_refused_with_what_is_different(root: Path, override: str, told: str) -> None:
    message = refusal(root, RecipeError, override)
    assert message == f"--set {override}  {told}\nA run goes on with what it began with. {MAY_CHANGE}."


def test_an_edited_recipe_is_refused_with_the_line(root: Path) -> None:
    file = root / "resolved.toml"
    file.write_text(file.read_text().replace("batch_size = 4", "batch_size = 8"))
    assert re.match(
        rf"{file}:\d+  train.batch_size  was 4 when the run began, and is 8 now\n", refusal(root, RecipeError)
    )


def test_an_edited_corpus_is_refused(root: Path, halfway: Path) -> None:
    text = halfway / "text.txt"
    text.write_text(TEXT.replace("12 green", "21 green"), encoding="utf-8")
    try:
        told = refusal(root, DataError)
    finally:
        text.write_text(TEXT, encoding="utf-8")
    assert re.fullmatch(
        r"the corpus is not the one that the run began with: the training text has 2,0\d\d characters and the "
        r"sha256 [0-9a-f]{16}…, and it had 20\d\d and [0-9a-f]{16}…",
        told,
    )


def test_the_same_text_may_be_elsewhere(root: Path, tmp_path: Path) -> None:
    (tmp_path / "moved.txt").write_text(TEXT, encoding="utf-8", newline="")
    go_on(root, [f"data.corpus.path={tmp_path / 'moved.txt'}"])


def test_a_text_that_is_gone_is_named(root: Path, tmp_path: Path) -> None:
    assert refusal(root, DataError, f"data.corpus.path={tmp_path}/gone.txt").startswith(
        f"{tmp_path}/gone.txt: no such"
    )


def test_an_edited_tokenizer_is_refused(root: Path) -> None:
    (root / "tokenizer.json").write_text('{"characters": "abc"}')
    assert refusal(root, CheckpointError) == (
        f"{root / 'tokenizer.json'} is not what the run began with: its sha256 has changed"
    )


def test_a_damaged_checkpoint_is_refused_with_those_that_are_whole(root: Path) -> None:
    file = root / "checkpoints" / "step-000002" / "optimizer.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=f"^{file} is damaged: it has "):
        go_on(root)
    assert not (root / "lock").exists()


def test_it_goes_on_from_an_earlier_checkpoint_when_asked(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=SMALL)
    root = finish(recipe, tmp_path / "run", ["train.checkpoint_interval=1"])
    whole = result(root)
    assert go_on(root, checkpoint="step-000002") == root
    assert result(root) == whole


def test_what_is_no_run_directory_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere", CheckpointError) == f"{tmp_path / 'nowhere'}: no such run directory"
