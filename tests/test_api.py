import importlib
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest
import torch

import gptkit
from gptkit.cli import main as command
from gptkit.components.attention.naive import NaiveAttention
from gptkit.errors import CheckpointError, RecipeError, UsageError
from gptkit.model import GPT
from gptkit.run.events import Event, Finished, Planned, Started
from gptkit.run.loop import run as run_prepared
from gptkit.run.prepare import prepare
from gptkit.run.resume import prepare_resume
from gptkit.run.time_budget import Costs
from gptkit.run.time_pace import TimeController
from gptkit.training.train import Step
from gptkit.tuning import malloc
from tests.crash import result
from tests.small import finish, same_weights, write_recipe


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write little and draw nothing, because that takes most of the time."""
    monkeypatch.setattr("gptkit.run.loop.SAMPLE_TOKENS", 8)
    monkeypatch.setattr("gptkit.run.session.to_png", lambda figure: b"")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GPT]:
    """Return a run directory and the model as it was after the last step."""
    directory = tmp_path_factory.mktemp("load")
    prepared = prepare(write_recipe(directory), out=directory / "run")
    for _ in run_prepared(prepared):
        pass
    return directory / "run", prepared.model


@pytest.fixture
def run(trained: tuple[Path, GPT], tmp_path: Path) -> Path:
    """Return a run directory that a test may damage."""
    return shutil.copytree(trained[0], tmp_path / "run")


def refusal(run: Path, *overrides: str) -> str:
    with pytest.raises(CheckpointError) as caught:
        gptkit.load(run, overrides=overrides)
    return str(caught.value)


def test_a_trained_model_writes(run: Path) -> None:
    trained = gptkit.load(run)
    m, decode = trained.model, trained.decode
    context = torch.zeros((1, 1), dtype=torch.long)
    text = decode(m.generate(context, max_new_tokens=20)[0].tolist())
    assert len(text) == 21
    assert text.startswith(decode([0]))


def test_a_trained_model_goes_on_from_a_text(run: Path) -> None:
    trained = gptkit.load(run)
    new = trained.model.generate(torch.tensor([trained.encode("green ")]), 20, temperature=0.8, top_k=5)
    assert trained.decode(new[0].tolist()).startswith("green ")


def test_load_can_be_called_again_and_imported(run: Path) -> None:
    importlib.import_module(gptkit.load.__module__)
    assert same_weights(gptkit.load(run).model, gptkit.load(run).model)


def test_the_last_weights_come_back_bit_for_bit_in_eval_mode(trained: tuple[Path, GPT]) -> None:
    loaded = gptkit.load(str(trained[0]), checkpoint="last")
    assert same_weights(loaded.model, trained[1].cpu())
    assert not loaded.model.training


def test_the_best_weights_are_the_default(run: Path) -> None:
    shutil.copytree(run / "checkpoints" / (run / "checkpoints" / "best").read_text().strip(), run / "kept")
    (run / "checkpoints" / "last").unlink()
    assert gptkit.load(run).model.n_parameters > 0


def test_the_recipe_comes_with_the_model(run: Path) -> None:
    recipe = gptkit.load(run).recipe
    assert recipe.sizes["n_embd"] == 8
    assert recipe.train.max_iters == 12
    assert recipe.parts["optimizer"].options["learning_rate"] == 1e-2


def test_encode_and_decode_are_the_tokenizers(run: Path) -> None:
    loaded = gptkit.load(run)
    assert loaded.decode(loaded.encode("12 green bottles")) == "12 green bottles"
    assert loaded.tokenizer.vocab_size == loaded.model.dims.vocab_size


def test_another_kernel_takes_the_same_weights(run: Path) -> None:
    ours, theirs = gptkit.load(run), gptkit.load(run, overrides=["model.attention=naive"])
    assert any(isinstance(module, NaiveAttention) for module in theirs.model.modules())
    assert not any(isinstance(module, NaiveAttention) for module in ours.model.modules())
    assert same_weights(ours.model, theirs.model)
    tokens = torch.tensor([ours.encode("bottles")])
    torch.testing.assert_close(ours.model(tokens), theirs.model(tokens))


@pytest.mark.parametrize(
    "override", ["model.n_embd=16", "model.n_layer=2", "model.position=rope", "data.tokenizer=byte"]
)
def test_an_override_that_changes_the_weights_is_refused(run: Path, override: str) -> None:
    assert "model.safetensors does not fit the model: " in refusal(run, override)


def test_an_override_that_is_wrong_is_a_recipe_error(run: Path) -> None:
    with pytest.raises(RecipeError, match="no Attention is called 'naiv'"):
        gptkit.load(run, overrides=["model.attention=naiv"])


def test_a_run_that_was_moved_still_loads(run: Path, tmp_path: Path) -> None:
    assert gptkit.load(run.rename(tmp_path / "elsewhere")).model.n_parameters > 0


def test_the_text_is_not_needed_any_more(tmp_path: Path) -> None:
    run = finish(write_recipe(tmp_path), tmp_path / "run", ["train.max_iters=1"])
    (tmp_path / "text.txt").unlink()
    assert gptkit.load(run).model.n_parameters > 0


def test_what_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: no such run directory"
    assert refusal(tmp_path) == f"{tmp_path} is not a run directory: it has no resolved.toml"


def test_damaged_weights_are_refused(run: Path) -> None:
    for file in run.rglob("model.safetensors"):
        file.write_bytes(file.read_bytes()[:-1])
    assert "model.safetensors cannot be read: no safetensors file: " in refusal(run)


def test_a_run_without_a_checkpoint_is_refused(run: Path) -> None:
    (run / "checkpoints" / "best").unlink()
    message = f"{run} has no checkpoint 'best': its run was stopped before it saved one"
    assert refusal(run).startswith(message)


@pytest.mark.parametrize("content", [{}, [], {"characters": 5}, None])
def test_a_tokenizer_that_cannot_be_restored_is_refused(run: Path, content: object) -> None:
    (run / "tokenizer.json").write_text(json.dumps(content))
    assert str(run) in refusal(run)


def test_a_tokenizer_of_another_vocabulary_is_refused(run: Path) -> None:
    (run / "tokenizer.json").write_text(json.dumps({"characters": "ab"}))
    assert "model.safetensors does not fit the model: " in refusal(run)


def test_a_shipped_recipe_is_built_and_trained_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = ["model.n_layer=1", "model.n_head=1", "model.n_embd=8", "model.block_size=8"]
    assert gptkit.build("gpt_tiny", vocab_size=5, overrides=sizes).dims.n_embd == 8
    for call in (lambda name: gptkit.build(name, vocab_size=5), gptkit.train):
        with pytest.raises(RecipeError, match=r"no recipe is called 'gpt_tny'\. Did you mean 'gpt_tiny'\?"):
            call("gpt_tny")
    short = [*sizes, "train.max_iters=1", "train.schedule.warmup=0", "train.dtype=fp32", "train.batch_size=1"]
    next(gptkit.train("gpt_tiny", overrides=short, out="run"))
    assert "# The model of gpt_small" in Path("run/recipe.toml").read_text(encoding="utf-8")


def samples(root: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (root / "samples").iterdir()}


def resume(root: Path) -> dict[str, str]:
    for _ in run_prepared(prepare_resume(root)):
        pass
    return result(root)


def is_locked(root: Path) -> bool:
    return (root / "lock").exists()


def test_train_does_what_gptkit_run_does_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(tmp_path)
    changes = ["model.dropout=0.3", "train.max_iters=7"]
    monkeypatch.setattr(sys, "argv", ["gptkit", "run", str(recipe), "--out", str(tmp_path / "command")])
    sys.argv += [word for change in changes for word in ("--set", change)]
    with pytest.raises(SystemExit) as ended:
        command()
    assert not ended.value.code
    events = list(gptkit.train(recipe, overrides=changes, out=tmp_path / "python"))
    assert events[0] == Started(tmp_path / "python")
    assert isinstance(events[-1], Finished)
    assert result(tmp_path / "python") == result(tmp_path / "command")
    assert samples(tmp_path / "python") == samples(tmp_path / "command")


def test_the_first_event_names_a_directory_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(tmp_path)
    monkeypatch.chdir(tmp_path)
    events = gptkit.train(str(recipe))
    assert not Path("runs").exists()
    started = next(events)
    assert isinstance(started, Started)
    assert (started.directory / "resolved.toml").is_file()
    assert started.directory.parent == Path("runs")
    events.close()
    assert not is_locked(started.directory)
    # Nothing was learnt, so nothing was saved: the run goes on from its beginning.
    assert [*(started.directory / "checkpoints").iterdir()] == []


def test_a_loop_that_is_left_early_leaves_a_run_that_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    changes = ["model.dropout=0.3", "train.max_iters=7", "train.log_interval=1", "train.eval_interval=3"]
    whole = result(finish(recipe, tmp_path / "whole", changes))
    # Steps 1 to 3, the evaluation after step 3, steps 4 to 6, and the evaluation and the sample after step 6.
    for leave, step in enumerate((1, 2, 3, 3, 4, 5, 6, 6, 6), start=1):
        root = tmp_path / f"left-{leave}"
        for number, _ in enumerate(gptkit.train(recipe, overrides=changes, out=root)):
            if number == leave:
                break
        assert not is_locked(root)
        assert (root / "checkpoints" / "last").read_text().startswith(f"step-{step:06d}")
        assert resume(root) == whole, leave


def test_leaving_the_loop_early_restores_what_a_run_changes_in_the_process(tmp_path: Path) -> None:
    before = list(malloc.active)
    for event in gptkit.train(
        write_recipe(tmp_path), overrides=["train.deterministic=true"], out=tmp_path / "run"
    ):
        assert torch.are_deterministic_algorithms_enabled()
        assert malloc.active != before
        if isinstance(event, Step):
            break
    assert not torch.are_deterministic_algorithms_enabled()
    assert malloc.active == before


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let Ctrl+C raise KeyboardInterrupt, which a shell turns off in what it starts in the background."""
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, earlier)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_in_a_step_saves_it_and_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    recipe = write_recipe(tmp_path)
    whole = result(finish(recipe, tmp_path / "whole"))
    # The second signal is another, because two of one kind that come together are one.
    faults = ",".join(f"{kind}@step:3" for kind in ("interrupt", "terminate")[:times])
    monkeypatch.setattr("gptkit.storage.fault_injection.reached", Counter())
    monkeypatch.setenv("GPTKIT_FAULT", faults)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    seen: list[Event] = []
    with pytest.raises(KeyboardInterrupt):
        seen.extend(gptkit.train(recipe, out=tmp_path / "run"))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    monkeypatch.delenv("GPTKIT_FAULT")
    for thread in threading.enumerate():
        if thread.name == "gptkit-unlock":
            thread.join()
    assert not is_locked(tmp_path / "run")
    pointer = tmp_path / "run" / "checkpoints" / "last"
    assert pointer.exists() == (times == 1)
    if times == 1:
        assert pointer.read_text() == "step-000003\n"
    assert resume(tmp_path / "run") == whole


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_in_the_callers_loop_is_raised_there_and_the_step_is_saved(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)

    def loop() -> None:
        for event in gptkit.train(recipe, out=tmp_path / "run"):
            if isinstance(event, Step) and event.number == 3:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        loop()
    # As long as the error is looked at, so are the frames that it went through: a notebook drops them.
    del caught
    assert (tmp_path / "run" / "checkpoints" / "last").read_text().startswith("step-000003")
    assert not is_locked(tmp_path / "run")


def test_what_is_wrong_is_said_by_the_call_and_not_by_the_first_event(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    with pytest.raises(RecipeError, match="no Attention is called 'naiv'"):
        gptkit.train(recipe, overrides=["model.attention=naiv"])
    with pytest.raises(UsageError, match=r"^--time 3: expected a duration with its units"):
        gptkit.train(recipe, time="3")
    with pytest.raises(UsageError, match="has something in it"):
        gptkit.train(recipe, out=tmp_path)


def test_train_takes_as_many_steps_as_fit_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costs = Costs(step=0.1, evaluation=0.0, sample=0.0, snapshot=0.0, ending=0.0)

    def update(self: TimeController, taken: int) -> None:
        self.taken, self.total = taken, 20

    monkeypatch.setattr("gptkit.run.time_plan.measure_costs", lambda *_: (costs, 2))
    monkeypatch.setattr(TimeController, "update", update)
    began = perf_counter()
    events = list(gptkit.train(write_recipe(tmp_path), out=tmp_path / "run", time="2m"))
    planned = events[1]
    assert isinstance(planned, Planned)
    assert planned.budget == 120
    assert planned.spent < perf_counter() - began
    assert planned.max_iters == int((120 - planned.spent) / 0.1)
    assert sum(isinstance(event, Step) for event in events) == 20
    assert isinstance(events[-1], Finished)


def test_a_run_can_be_trained_in_a_thread(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    ended: list[Event] = []
    thread = threading.Thread(target=lambda: ended.extend(gptkit.train(recipe, out=tmp_path / "run")))
    thread.start()
    thread.join()
    assert isinstance(ended[-1], Finished)


ENDS_IN_THE_LOOP = """
import gptkit
events = gptkit.train({recipe!r}, overrides=["train.checkpoint_interval=2"], out={out!r})
while not getattr(next(events), "number", 0) == 3:
    pass
"""


def test_a_program_that_ends_in_the_middle_of_a_run_saves_its_last_step_and_ends_quietly(tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path), tmp_path / "run"
    program = ENDS_IN_THE_LOOP.format(recipe=str(recipe), out=str(out))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (out / "checkpoints" / "last").read_text() == "step-000003-eval-pending\n"
    prepare_resume(out).directory().close()
