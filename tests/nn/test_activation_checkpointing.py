"""Activations that are computed twice take less memory and change no weight and no name."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.components.attention.fused import FusedAttention
from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.attention.sdpa import SdpaAttention
from gptkit.components.attention.tiled import TiledAttention
from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.components.schedule.constant import ConstantSchedule
from gptkit.model import GPT
from gptkit.nn import SoftmaxAttention
from gptkit.nn.activation_checkpointing import checkpoint_activations
from gptkit.nn.eval_mode import evaluating
from gptkit.training.nan_trace import NanTrace
from gptkit.training.train import train
from gptkit.tuning.tensor_memory import kept_for_backward
from tests.crash import result
from tests.small import finish, same_weights, small_model, small_settings, small_tokens, write_recipe

ROOT = Path(__file__).parents[2]
PLUGINS = [
    ("grouped_query", "attention=grouped_query"),
    ("sliding_window", "attention=sliding_window"),
    ("torch_mha", "attention=torch_mha"),
    ("flex", "attention=flex"),
    ("parallel_block", "block=parallel"),
]


def trained(attention: type[SoftmaxAttention], dtype: str, *, recompute: bool) -> GPT:
    model = small_model(attention, dropout=0.3)
    settings = small_settings(checkpoint_activations=recompute, grad_accumulation=2)
    optimizer = AdamWOptimizer(learning_rate=1e-2).build(model.parameter_groups())
    for _ in train(model, small_tokens(), optimizer, ConstantSchedule(4), settings, dtype=dtype):
        pass
    return model


def cross_entropy(model: nn.Module, tokens: Tensor) -> Tensor:
    return F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())


def kept(model: GPT) -> int:
    # So many that the weights, which are kept too, are few beside them.
    tokens = torch.zeros(64, 8, dtype=torch.long)
    return kept_for_backward(lambda: cross_entropy(model, tokens))


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("attention", [NaiveAttention, FusedAttention, SdpaAttention, TiledAttention])
def test_with_dropout_it_trains_to_the_same_bits(attention: type[SoftmaxAttention], dtype: str) -> None:
    assert same_weights(trained(attention, dtype, recompute=True), trained(attention, dtype, recompute=False))


def test_less_is_kept_and_it_can_be_undone() -> None:
    model = small_model(dropout=0.3, n_layer=4)
    names, parameters = list(model.state_dict()), [name for name, _ in model.named_parameters()]
    before = kept(model)
    checkpoint_activations(model.blocks, True)
    # Twice is once: a block is not wrapped into itself.
    checkpoint_activations(model.blocks, True)
    assert kept(model) < before / 3
    assert (list(model.state_dict()), [name for name, _ in model.named_parameters()]) == (names, parameters)
    checkpoint_activations(model.blocks, False)
    assert kept(model) == before
    assert all("forward" not in vars(block) for block in model.blocks)


def test_looking_and_writing_are_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model()
    start = torch.zeros(1, 1, dtype=torch.long)
    before = model.generate(start, 12, temperature=0.0)
    checkpoint_activations(model.blocks, True)
    # Whoever calls it fails.
    monkeypatch.setattr("gptkit.nn.activation_checkpointing.checkpoint", None)
    assert torch.equal(model.generate(start, 12, temperature=0.0), before)
    with evaluating(model):
        model(start)
    model.eval()(start).sum().backward()


def test_a_copy_computes_with_its_own_weights() -> None:
    model = small_model()
    checkpoint_activations(model.blocks, True)
    copied = copy.deepcopy(model)
    nn.init.zeros_(copied.get_parameter("head.weight"))
    for block in copied.blocks:
        for weight in block.parameters():
            nn.init.ones_(weight)
    tokens = torch.zeros(1, 3, dtype=torch.long)
    cross_entropy(copied, tokens).backward()
    assert all(weight.grad is None for weight in model.parameters())


def test_what_a_gradient_is_blamed_on_is_the_same() -> None:
    def blame(recompute: bool) -> str:
        model = small_model()
        checkpoint_activations(model.blocks, recompute)
        tokens = torch.zeros(1, 3, dtype=torch.long)
        with NanTrace(model) as watch:
            logits = model(tokens)
        (logits.sum() * torch.inf).backward()
        return watch.backward()

    assert blame(True) == blame(False) == "the gradient through the loss"


@pytest.mark.parametrize(("plugin", "part"), PLUGINS)
def test_a_strangers_parts_are_computed_twice_too(
    plugin: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptkit.run.loop.SAMPLE_TOKENS", 4)
    monkeypatch.setattr("gptkit.run.session.to_png", lambda figure: b"")
    recipe = write_recipe(tmp_path)
    recipe.write_text(f"plugins = ['{ROOT / 'plugins' / plugin}.py']\n" + recipe.read_text())
    options = [f"model.{part}", f"model.dropout={0 if plugin == 'flex' else 0.3}", "train.max_iters=3"]
    once, twice = (
        result(finish(recipe, tmp_path / wanted, [*options, f"train.checkpoint_activations={wanted}"]))
        for wanted in ("false", "true")
    )
    assert once == twice
