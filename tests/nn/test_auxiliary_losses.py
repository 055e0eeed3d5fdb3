"""Losses that parts report are added once to what is differentiated, and to nothing else."""

import copy
import json

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.components.position.learned import LearnedPosition
from gptkit.components.schedule.constant import ConstantSchedule
from gptkit.interfaces import AttentionContext, BlockParts, HasAuxiliaryLoss
from gptkit.model import GPT
from gptkit.nn.activation_checkpointing import checkpoint_activations
from gptkit.nn.auxiliary_losses import collected_losses, parts_with_losses
from gptkit.nn.eval_mode import evaluating
from gptkit.seeds import seeded
from gptkit.training.evaluate import validation_loss
from gptkit.training.micro_batches import MicroBatches
from gptkit.training.train import Step, losses_of, train
from tests.program import run_program
from tests.small import same_weights, small_dims, small_model, small_settings, small_tokens

TOKENS = small_tokens()


class LoudFeedForward(GeluFeedForward, HasAuxiliaryLoss):
    """Reports how large its output is."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        self.report_loss(0.1 * y.square().mean())
        return y


class LoudAttention(NaiveAttention, HasAuxiliaryLoss):
    """The same, of an attention."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        y = super().forward(x, ctx)
        self.report_loss(0.2 * y.square().mean())
        return y


def loud_model(dropout: float = 0.0) -> GPT:
    """Return a model of two layers whose attentions and feed-forwards report losses."""
    dims = small_dims(dropout=dropout)
    parts = BlockParts(LoudAttention, LoudFeedForward, LayerNorm)
    with seeded(torch.device("cpu"), 0, "loud"):
        blocks = [PreNormBlock(dims, parts) for _ in range(dims.n_layer)]
        model = GPT(dims, LearnedPosition(dims), blocks, LayerNorm(dims))
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.5)
    return model


def steps_of(model: GPT, **settings: object) -> list[Step]:
    optimizer = AdamWOptimizer(learning_rate=1e-2).build(model.parameter_groups())
    return list(train(model, TOKENS, optimizer, ConstantSchedule(4), small_settings(max_iters=2, **settings)))


def outputs_of(model: GPT, tokens: Tensor) -> list[Tensor]:
    """Return the outputs of attention and feed-forward of each layer, in order."""
    heard: list[Tensor] = []
    parts = [part for part in model.modules() if isinstance(part, HasAuxiliaryLoss)]
    hooks = [part.register_forward_hook(lambda *given: heard.append(given[2])) for part in parts]
    model(tokens)
    for hook in hooks:
        hook.remove()
    return heard


@pytest.mark.parametrize("checkpointed", [False, True])
def test_every_part_reports_once_a_pass_and_only_to_what_collects(checkpointed: bool) -> None:
    model, tokens = loud_model(), TOKENS[None, :8].long()
    expected = [
        weight * y.square().mean() for weight, y in zip([0.2, 0.1] * 2, outputs_of(model, tokens), strict=True)
    ]
    checkpoint_activations(model.blocks, checkpointed)
    with collected_losses(model) as losses:
        logits = model(tokens)
    assert losses is not None
    torch.testing.assert_close(losses, expected)
    # Neither recomputation nor a later pass reports to it.
    (logits.sum() + sum(losses)).backward()
    model(tokens)
    assert len(losses) == 4
    assert {part.reported for part in parts_with_losses(model)} == {None}
    copy.deepcopy(model)


def test_nothing_is_collected_after_a_pass_that_fails() -> None:
    model = loud_model()
    with pytest.raises(ValueError, match="do not fit"), collected_losses(model):
        model(torch.zeros(1, 9, dtype=torch.int64))
    assert {part.reported for part in parts_with_losses(model)} == {None}


@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_step_descends_the_sum_of_both_losses(checkpointed: bool) -> None:
    model, plain = loud_model(), loud_model()
    settings = small_settings(max_iters=1, grad_accumulation=2, checkpoint_activations=checkpointed)
    batches = list(MicroBatches(plain, TOKENS, settings, "fp32").of(0))
    token_loss, own_loss = torch.zeros(()), torch.zeros(())
    for batch in batches:
        with collected_losses(plain) as reported:
            logits = plain(batch.inputs)
        assert reported is not None
        token_loss = token_loss + F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten()) / 2
        own_loss = own_loss + torch.stack(reported).sum() / 2
    (token_loss + own_loss).backward()
    optimizer = AdamWOptimizer(learning_rate=1e-2).build(plain.parameter_groups())
    optimizer.step()
    (step,) = train(
        model,
        TOKENS,
        AdamWOptimizer(learning_rate=1e-2).build(model.parameter_groups()),
        ConstantSchedule(4),
        settings,
    )
    torch.testing.assert_close([step.loss, step.auxiliary_loss], [token_loss.detach(), own_loss.detach()])
    torch.testing.assert_close(dict(model.state_dict()), dict(plain.state_dict()))


def test_with_dropout_checkpointed_steps_report_the_same_and_train_to_the_same_bits() -> None:
    (model, kept), (other, recomputed) = (
        (model, steps_of(model, checkpoint_activations=checkpointed, grad_accumulation=2))
        for model, checkpointed in ((loud_model(0.3), False), (loud_model(0.3), True))
    )
    assert [step.auxiliary_loss for step in kept] == [step.auxiliary_loss for step in recomputed]
    assert same_weights(model, other)


def test_steps_that_go_on_from_saved_weights_are_the_same_bit_for_bit() -> None:
    whole, half, rest = loud_model(0.3), loud_model(0.3), loud_model(0.3)
    first, second, third = (
        AdamWOptimizer(learning_rate=1e-2).build(model.parameter_groups()) for model in (whole, half, rest)
    )
    expected = list(train(whole, TOKENS, first, ConstantSchedule(4), small_settings()))
    list(train(half, TOKENS, second, ConstantSchedule(4), small_settings(max_iters=2)))
    rest.load_state_dict(half.state_dict())
    third.load_state_dict(second.state_dict())
    found = list(train(rest, TOKENS, third, ConstantSchedule(4), small_settings(), first=2))
    assert [step.auxiliary_loss for step in found] == [step.auxiliary_loss for step in expected[2:]]
    assert same_weights(rest, whole)


def test_a_model_without_such_parts_has_one_loss() -> None:
    assert steps_of(small_model())[0].auxiliary_loss is None


def test_an_evaluation_is_of_the_tokens_alone() -> None:
    model = loud_model()
    with evaluating(model):
        logits = model(TOKENS[None, :8].long())
    expected = F.cross_entropy(logits[0], TOKENS[1:9].long())
    assert validation_loss(model, TOKENS[:9]) == pytest.approx(expected.item())


# In a process of its own, because the checker of annotations cannot be compiled.
PROGRAM = """
import json

import torch

from gptkit.nn.activation_checkpointing import checkpoint_activations
from gptkit.training.micro_batches import MicroBatches
from gptkit.training.train import losses_of
from tests.nn.test_auxiliary_losses import TOKENS, loud_model
from tests.small import small_settings

found = []
for checkpointed in (False, True):
    for compiled in (False, True):
        model = loud_model()
        checkpoint_activations(model.blocks, checkpointed)
        settings = small_settings(checkpoint_activations=checkpointed)
        batch = next(MicroBatches(model, TOKENS, settings, "fp32").of(0))
        run = torch.compile(model, fullgraph=True, backend="aot_eager") if compiled else model
        for _ in range(2):
            model.zero_grad()
            losses = losses_of(run, batch)
            losses.sum().backward()
        gradient = sum(weight.grad.square().sum().item() for weight in model.parameters())
        found.append([*losses.tolist(), gradient])
graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
print(json.dumps([found, graphs]))
"""


@pytest.mark.exhaustive
def test_compiled_passes_report_the_same_checkpointed_or_not() -> None:
    (eager, *others), graphs = json.loads(run_program(PROGRAM))
    assert all(other == pytest.approx(eager, rel=1e-5) for other in others)
    assert graphs == 2


def test_losses_of_a_part_that_is_used_twice_are_added() -> None:
    model = loud_model()
    model.blocks[1] = model.blocks[0]
    batch = next(MicroBatches(model, TOKENS, small_settings(), "fp32").of(0))
    reported = sum(
        weight * y.square().mean()
        for weight, y in zip([0.2, 0.1] * 2, outputs_of(model, batch.inputs), strict=True)
    )
    torch.testing.assert_close(losses_of(model, batch)[1], torch.as_tensor(reported))


def test_nothing_is_collected_where_no_part_reports() -> None:
    with collected_losses(small_model()) as losses:
        assert losses is None
