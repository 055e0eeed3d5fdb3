"""A number that is not finite is never applied; its step, its batch and where it came from are named."""

import math
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import gptkit
from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.components.schedule.constant import ConstantSchedule
from gptkit.errors import NumericsError
from gptkit.model import GPT
from gptkit.run import loop
from gptkit.run.loop import run
from gptkit.run.prepare import prepare
from gptkit.run.session import Session
from gptkit.training.micro_batches import MicroBatch, MicroBatches
from gptkit.training.nan_trace import find_nan_source
from gptkit.training.train import Step, losses_of, train
from tests.small import same_weights, small_model, small_settings, small_tokens, write_recipe

TOKENS = small_tokens()
BEGIN = (
    r"step 2: the loss is {loss} and the gradient's norm {norm}, so the step was not applied. Batch: pass {at} "
    r"of 2, whose rows begin at the tokens \d+, \d+, \d+, \d+ of the training text. Not finite first: "
)


def broken(plant: Callable[[GPT], object], after: int = 1) -> tuple[str, GPT, GPT]:
    """Plant something after a step; return what was said, the model, and the model as it then was."""
    model, kept = small_model(std=0.5, dropout=0.2), small_model(std=0.5, dropout=0.2)
    settings = small_settings(max_iters=5, grad_accumulation=2, grad_clip=1.0)
    optimizer = AdamWOptimizer(learning_rate=1e-2).build(model.parameter_groups())
    steps = train(model, TOKENS, optimizer, ConstantSchedule(5), settings)
    for _ in range(after):
        next(steps)
    plant(model)
    kept.load_state_dict(model.state_dict())
    with pytest.raises(NumericsError) as caught:
        next(steps)
    return str(caught.value), model, kept


def nan_weight(model: GPT) -> None:
    with torch.no_grad():
        model.get_parameter("blocks.1.feed_forward.widen.weight")[3, 4] = math.nan


def infinite_gradient(model: GPT) -> None:
    model.get_parameter("blocks.0.attention.qkv.weight").register_hook(lambda gradient: gradient * math.inf)


def nan_input(model: GPT) -> None:
    def plant(module: torch.nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (given[0] * math.nan, *given[1:])

    model.get_submodule("blocks.1.norm_2").register_forward_pre_hook(plant)


def infinite_output(model: GPT) -> None:
    model.get_submodule("blocks.0.norm_1").register_forward_hook(lambda module, given, result: result / 0)


def nan_backward(model: GPT) -> None:
    class Evil(torch.autograd.Function):
        @staticmethod
        def forward(context: object, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(context: object, gradient: Tensor) -> Tensor:
            return gradient * math.nan

    model.norm.register_forward_hook(lambda module, given, result: Evil.apply(result))  # type: ignore[no-untyped-call]


PLANTED = [
    (nan_weight, "nan", "nan", r"blocks\.1\.feed_forward\.widen \(Linear\), whose weight is not finite"),
    (nan_input, "nan", "nan", r"blocks\.1\.norm_2\.norm \(LayerNorm\), which was given such"),
    (infinite_output, "nan", "nan", r"blocks\.0\.norm_1 \(LayerNorm\)"),
    (infinite_gradient, r"[\d.]+", "inf|nan", r"the gradient of blocks\.0\.attention\.qkv\.weight"),
    (nan_backward, r"[\d.]+", "nan", r"the gradient through norm \(LayerNorm\)"),
]


@pytest.mark.parametrize(("plant", "loss", "norm", "origin"), PLANTED)
def test_what_is_planted_is_named_and_not_applied(
    plant: Callable[[GPT], object], loss: str, norm: str, origin: str
) -> None:
    told, model, kept = broken(plant)
    assert re.fullmatch(BEGIN.format(loss=loss, norm=f"(?:{norm})", at=1) + origin, told), told
    ours, theirs = model.state_dict(), kept.state_dict()
    assert all(torch.equal(ours[name].nan_to_num(7), theirs[name].nan_to_num(7)) for name in ours)
    assert all(weight.grad is None for weight in model.parameters())


def test_the_pass_is_named_whose_batch_it_was() -> None:
    model, seen = small_model(std=0.5), []

    def second(module: torch.nn.Module, given: object, result: Tensor) -> Tensor:
        seen.append(module)
        return result * math.nan if len(seen) % 2 == 0 else result

    model.norm.register_forward_hook(second)
    optimizer = AdamWOptimizer().build(model.parameter_groups())
    settings = small_settings(max_iters=5, grad_accumulation=2)
    with pytest.raises(NumericsError, match=r"Batch: pass 2 of 2, .*Not finite first: norm \(LayerNorm\)$"):
        list(train(model, TOKENS, optimizer, ConstantSchedule(5), settings))


def batch_of(model: GPT) -> MicroBatch:
    return next(MicroBatches(model, TOKENS, small_settings(), "fp32").of(0))


def test_finite_numbers_that_make_an_infinite_loss_are_told_apart() -> None:
    model = small_model()
    found = find_nan_source(model, [batch_of(model)], lambda *given: losses_of(*given) * math.inf)
    assert found == (0, "the loss itself: every part gave finite numbers")


def test_what_does_not_come_again_is_said_to() -> None:
    model = small_model()
    found = find_nan_source(model, [batch_of(model)], losses_of)
    assert found == (
        0,
        "only when it was computed the first time: going through the step again gave finite numbers",
    )


def test_a_gradient_that_is_scaled_down_is_not_what_is_looked_at() -> None:
    # Clipping divides by the norm: by infinity, that would make zeros of an infinite gradient, and hide it.
    told, model, kept = broken(infinite_gradient)
    assert "the gradient's norm inf" in told or "the gradient's norm nan" in told
    assert same_weights(model, kept)


def test_a_run_stops_and_leaves_the_last_good_checkpoint_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptkit.run.loop.SAMPLE_TOKENS", 8)
    prepared = prepare(write_recipe(tmp_path), out=tmp_path / "run")
    events = run(prepared)
    next(event for event in events if isinstance(event, Step) and event.number == 7)
    folder = tmp_path / "run" / "checkpoints"
    while not (folder / "last").exists() or "5" not in (folder / "last").read_text():
        time.sleep(0.01)
    before = {file: file.read_bytes() for file in folder.rglob("step-*/*")}
    torch.nn.init.constant_(prepared.model.head.bias, math.nan)
    with pytest.raises(NumericsError) as caught:
        list(events)
    assert caught.value.exit_code == 5
    last = tmp_path / "run" / "checkpoints" / "step-000005"
    assert str(caught.value).startswith("step 8: the loss is nan")
    assert str(caught.value).endswith(
        "Not finite first: head (Linear), whose bias is not finite. The last good checkpoint is "
        f"{last}, and it is as it was"
    )
    assert {file: file.read_bytes() for file in before} == before
    assert all(torch.isfinite(weight).all() for weight in gptkit.load(tmp_path / "run").model.parameters())


def test_weights_that_became_infinite_in_the_last_step_are_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptkit.run.loop.SAMPLE_TOKENS", 8)
    real = loop.remaining_steps

    def steps(session: Session) -> object:
        for step in real(session):
            if step.number == 5:
                torch.nn.init.constant_(session.model.head.bias, math.inf)
            yield step

    monkeypatch.setattr(loop, "remaining_steps", steps)
    with pytest.raises(
        NumericsError, match=r"^after step 5: the validation loss is nan\. The last good checkpoint is "
    ):
        list(run(prepare(write_recipe(tmp_path), out=tmp_path / "run")))
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == ["last", "step-000004"]


def test_an_overflow_of_fp16_is_the_scalers_to_mend() -> None:
    model = small_model(std=0.5)
    before = small_model(std=0.5)
    optimizer = AdamWOptimizer(learning_rate=1e-2).build(model.parameter_groups())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    steps = train(
        model, TOKENS, optimizer, ConstantSchedule(9), small_settings(max_iters=9), dtype="fp16", scaler=scaler
    )
    next(steps)
    assert same_weights(model, before)
    assert scaler.get_scale() == 2.0**39
