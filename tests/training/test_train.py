import math
from collections.abc import Callable
from types import GeneratorType

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.components.optimizer.muon import MuonOptimizer
from gptkit.components.schedule.constant import ConstantSchedule
from gptkit.components.schedule.cosine import CosineSchedule
from gptkit.data.batches import draw_batch
from gptkit.interfaces import Optimizer, ParameterGroups, Schedule
from gptkit.model import GPT
from gptkit.recipe.train_settings import TrainSettings
from gptkit.training.evaluate import train_loss, validation_loss
from gptkit.training.micro_batches import MicroBatch
from gptkit.training.train import Step, losses_of, train
from tests.small import all_parameters, same_weights, small_model, small_settings, small_tokens

TOKENS = small_tokens()


def steps_of(
    model: GPT,
    settings: TrainSettings,
    optimizer: Optimizer | None = None,
    *,
    schedule: Schedule | None = None,
    watch: Callable[[Step], object] = lambda step: None,
    dtype: str = "fp32",
) -> list[Step]:
    built = (optimizer or AdamWOptimizer(learning_rate=1e-2)).build(model.parameter_groups())
    schedule = schedule or ConstantSchedule(settings.max_iters)
    taken = []
    for step in train(model, TOKENS, built, schedule, settings, dtype=dtype):
        watch(step)
        taken.append(step)
    return taken


def trained(watch: Callable[[GPT, Step], object] = lambda model, step: None, **settings: object) -> GPT:
    """Return a small model with dropout after some steps, each of which was watched."""
    model = small_model(dropout=0.2)
    steps_of(model, small_settings(**settings), watch=lambda step: watch(model, step))
    return model


class PlainDescent(Optimizer):
    """Follows the gradient itself, so that a test can tell how long it was."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return torch.optim.SGD(all_parameters(groups), lr=1.0)


def moved(**settings: float) -> float:
    """Return how far one step of plain descent goes."""
    model, before = small_model(std=0.5), small_model(std=0.5)
    steps_of(model, small_settings(max_iters=1, **settings), PlainDescent())
    differences = [a - b for a, b in zip(model.parameters(), before.parameters(), strict=True)]
    return float(torch.cat([difference.detach().flatten() for difference in differences]).norm())


def test_training_is_a_generator_of_numbered_steps() -> None:
    model = small_model()
    settings = small_settings(grad_accumulation=3)
    optimizer = AdamWOptimizer().build(model.parameter_groups())
    steps = train(model, TOKENS, optimizer, ConstantSchedule(4), settings)
    assert isinstance(steps, GeneratorType)
    before = small_model()
    assert same_weights(model, before)
    first = next(steps)
    assert not same_weights(model, before)
    assert (first.number, first.tokens, first.learning_rate) == (1, 3 * 4 * 8, 3e-4)
    assert first.seconds > 0
    assert [step.number for step in steps] == [2, 3, 4]


def test_a_steps_loss_is_the_mean_over_its_tokens_before_it() -> None:
    model = small_model(std=1e-4)
    first = steps_of(model, small_settings(max_iters=1))[0]
    assert float(first.loss) == pytest.approx(math.log(11), abs=1e-3)
    assert not first.loss.requires_grad


def test_a_micro_batchs_loss_is_its_share_of_the_cross_entropy_per_token() -> None:
    logits, targets = torch.randn(2, 3, 5), torch.tensor([[0, 1, 2], [3, 4, 0]])
    picked = logits.log_softmax(-1).gather(-1, targets[..., None])
    batch = MicroBatch(0, 0, targets, targets, small_settings(grad_accumulation=4), "fp32")

    class Fixed(torch.nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return logits

    torch.testing.assert_close(losses_of(Fixed(), batch), -picked.mean()[None] / 4)


@pytest.mark.parametrize("optimizer", [AdamWOptimizer(learning_rate=1e-2), MuonOptimizer(learning_rate=1e-2)])
def test_the_loss_falls(optimizer: Optimizer) -> None:
    steps = steps_of(small_model(), small_settings(max_iters=80), optimizer)
    losses = [float(step.loss) for step in steps]
    assert losses[-1] < losses[0] / 2


def test_two_runs_are_equal_bit_for_bit() -> None:
    assert same_weights(trained(), trained())


def test_steps_are_those_of_a_plain_loop() -> None:
    ours, theirs = small_model(), small_model()
    steps_of(ours, small_settings(max_iters=3), PlainDescent())
    optimizer = torch.optim.SGD(theirs.parameters(), lr=1.0)
    for step in range(3):
        inputs, targets = draw_batch(TOKENS, 4, 8, seed=1337, step=step)
        optimizer.zero_grad()
        F.cross_entropy(theirs(inputs).flatten(0, 1), targets.flatten()).backward()
        optimizer.step()
    assert same_weights(ours, theirs)


def test_another_seed_is_another_run() -> None:
    assert not same_weights(trained(), trained(seed=1))


def test_looking_more_often_leaves_the_weights_as_they_would_be() -> None:
    def look(model: GPT, step: Step) -> None:
        validation_loss(model, TOKENS)
        train_loss(model, TOKENS)
        model.generate(TOKENS[None, :3].long(), 5)
        torch.rand(step.number)
        float(step.loss)

    assert same_weights(trained(look), trained())


def test_a_model_put_in_eval_mode_between_steps_is_trained_in_training_mode() -> None:
    assert same_weights(trained(lambda model, step: model.eval()), trained())


def test_dropout_acts_and_each_step_and_pass_drops_anew() -> None:
    model, dropped = small_model(dropout=0.5), []
    model.blocks[0].feed_forward.resid_dropout.register_forward_hook(  # type: ignore[union-attr]
        lambda module, inputs, output: dropped.append(output == 0)
    )
    steps_of(model, small_settings(max_iters=2, grad_accumulation=2))
    assert len(dropped) == 4
    assert all(0.3 < mask.float().mean() < 0.7 for mask in dropped)
    assert len({mask.numpy().tobytes() for mask in dropped}) == 4


def test_the_callers_random_state_is_left_as_it_was() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    trained()
    after = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    assert torch.equal(before[0], after[0])
    assert before[1] == after[1]


def test_accumulating_gradients_equals_a_larger_batch() -> None:
    whole, in_parts = small_model(std=0.5), small_model(std=0.5)
    one = steps_of(whole, small_settings(max_iters=3, batch_size=12, grad_clip=0.5), PlainDescent())
    four = steps_of(
        in_parts, small_settings(max_iters=3, batch_size=3, grad_accumulation=4, grad_clip=0.5), PlainDescent()
    )
    for a, b in zip(one, four, strict=True):
        assert float(a.loss) == pytest.approx(float(b.loss), rel=1e-5)
        assert a.tokens == b.tokens
    for ours, theirs in zip(whole.parameters(), in_parts.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_gradients_are_clipped_to_a_length_and_0_is_no_limit() -> None:
    unclipped = moved()
    assert unclipped > 0.2
    assert moved(grad_clip=0.1) == pytest.approx(0.1, rel=1e-3)
    assert moved(grad_clip=2 * unclipped) == pytest.approx(unclipped, rel=1e-6)


def test_the_schedule_scales_every_groups_rate() -> None:
    model, schedule = small_model(), CosineSchedule(4, warmup=1)
    optimizer = AdamWOptimizer(learning_rate=0.5).build(model.parameter_groups())
    optimizer.param_groups[1]["lr"] = 0.25
    steps = train(model, TOKENS, optimizer, schedule, small_settings())
    for n, step in enumerate(steps):
        assert step.learning_rate == 0.5 * schedule(n)
        assert [group["lr"] for group in optimizer.param_groups] == [0.5 * schedule(n), 0.25 * schedule(n)]


def test_a_schedule_of_zero_leaves_the_weights_as_they_are() -> None:
    class Zero(Schedule):
        def __call__(self, step: int) -> float:
            return 0.0

    model = small_model()
    steps_of(model, small_settings(), schedule=Zero(4))
    assert same_weights(model, small_model())


def test_bf16_is_near_fp32_and_keeps_the_weights_in_fp32() -> None:
    exact, rounded = small_model(), small_model()
    settings = small_settings(max_iters=20)
    losses = [
        [float(step.loss) for step in steps_of(model, settings, dtype=dtype)]
        for model, dtype in ((exact, "fp32"), (rounded, "bf16"))
    ]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], abs=0.1)
    assert {weight.dtype for weight in rounded.parameters()} == {torch.float32}
