"""Too little memory is known before the first step, with what to do about it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gptkit.errors import PluginError, RecipeError
from gptkit.run.loop import run
from gptkit.run.prepare import PreparedRun, prepare
from gptkit.training import train as train_module
from gptkit.tuning.memory_check import MemoryCheck
from gptkit.tuning.trial_step import trial_step
from tests.small import write_recipe


def prepared(directory: Path, *overrides: str) -> PreparedRun:
    return prepare(write_recipe(directory), overrides=overrides, out=directory / "run")


def test_what_no_memory_holds_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where it could not be estimated.
    unknown = MemoryCheck(torch.device("cpu"), 0, None, "not estimated")
    monkeypatch.setattr("gptkit.run.prepare.check_memory", lambda *_: unknown)
    with pytest.raises(RecipeError) as caught:
        list(run(prepared(tmp_path, "train.batch_size=10000000000000")))
    assert str(caught.value) == (
        "--set train.batch_size=10000000000000  train.batch_size  10000000000000 sequences in one pass need more "
        "memory than cpu has. As many tokens a step with less: --set train.batch_size=5000000000000 "
        "--set train.grad_accumulation=2. Slower: --set train.checkpoint_activations=true"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("rows", "passes", "advice"),
    [
        (12, 2, "As many tokens a step with less: --set train.batch_size=6 --set train.grad_accumulation=4"),
        (7, 1, "As many tokens a step with less: --set train.batch_size=1 --set train.grad_accumulation=7"),
        (9, 1, "As many tokens a step with less: --set train.batch_size=3 --set train.grad_accumulation=3"),
        (1, 4, "Try a smaller model or a smaller model.block_size"),
    ],
)
def test_the_advice_keeps_the_tokens_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, passes: int, advice: str
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    run = prepared(tmp_path, f"train.batch_size={rows}", f"train.grad_accumulation={passes}")
    monkeypatch.setattr(run.model, "forward", full)
    with pytest.raises(RecipeError) as caught:
        trial_step(run.model, run.resolved, "fp32")
    assert str(caught.value).endswith(
        f"{rows} sequences in one pass need more memory than cpu has. {advice}. "
        "Slower: --set train.checkpoint_activations=true"
    )


def test_another_error_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    run = prepared(tmp_path)
    monkeypatch.setattr(run.model, "forward", wrong)
    with pytest.raises(RuntimeError, match=r"^shapes do not match$"):
        trial_step(run.model, run.resolved, "fp32")


def test_it_leaves_weights_gradients_buffers_and_random_state_as_they_were(tmp_path: Path) -> None:
    run = prepared(tmp_path, "model.position=rope")
    run.model.register_buffer("seen", torch.zeros(()))

    def count(module: torch.nn.Module, given: object) -> None:
        module.get_buffer("seen").add_(1)

    run.model.register_forward_pre_hook(count)
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    state = torch.get_rng_state()
    trial_step(run.model, run.resolved, "bf16")
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.model.state_dict().items())
    assert all(weight.grad is None for weight in run.model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_memory_that_runs_out_later_is_told_after_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def full(*given: Any, **named: Any) -> Any:
        calls.append(1)
        # The trial step is the first call.
        if len(calls) == 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*given, **named)

    events = run(prepared(tmp_path))
    real = train_module.losses_of
    monkeypatch.setattr(train_module, "losses_of", full)
    with pytest.raises(PluginError) as caught:
        list(events)
    assert str(caught.value).startswith("step 3: 4 sequences in one pass need more memory than cpu has. As many ")
    assert str(caught.value).endswith("; saved after step 2")
    assert (tmp_path / "run" / "checkpoints" / "last").read_text() == "step-000002\n"
