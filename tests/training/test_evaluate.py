import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gptkit.model import GPT
from gptkit.training import evaluate
from gptkit.training.evaluate import train_loss, validation_loss
from tests.small import small_model, small_tokens

Loss = Callable[[GPT, Tensor], float]


def plain_loss(model: GPT, tokens: Tensor) -> float:
    """Return the mean loss of every token but the first, one window and one token at a time."""
    losses = []
    for start in range(0, len(tokens) - 1, model.dims.block_size):
        window = tokens[start : start + model.dims.block_size + 1].long()
        logits = model(window[None, :-1])[0]
        for row, target in zip(logits.tolist(), window[1:].tolist(), strict=True):
            losses.append(math.log(sum(map(math.exp, row))) - row[target])
    return math.fsum(losses) / (len(tokens) - 1)


@pytest.mark.parametrize("length", [9, 57, 61, 300])
def test_the_validation_loss_is_the_mean_over_every_position(length: int) -> None:
    model, tokens = small_model(std=0.5), small_tokens(length)
    assert validation_loss(model, tokens) == pytest.approx(plain_loss(model, tokens), rel=1e-5)


@pytest.mark.parametrize("length", [2, 8])
def test_a_text_shorter_than_a_context_is_one_window(length: int) -> None:
    model, tokens = small_model(std=0.5), small_tokens(length)
    assert validation_loss(model, tokens) == pytest.approx(plain_loss(model, tokens), rel=1e-5)


def test_the_last_shorter_window_counts() -> None:
    model, tokens = small_model(std=0.5), small_tokens(61)
    changed = tokens.clone()
    changed[-1] = (tokens[-1] + 1) % 11
    assert validation_loss(model, tokens) != validation_loss(model, changed)


def test_an_untrained_model_knows_nothing() -> None:
    assert validation_loss(small_model(std=1e-4), small_tokens()) == pytest.approx(math.log(11), abs=1e-3)


@pytest.mark.parametrize("loss", [train_loss, validation_loss])
@pytest.mark.parametrize("tokens_per_pass", [1, 24, 100_000])
def test_how_many_windows_go_in_one_pass_does_not_matter(
    loss: Loss, tokens_per_pass: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokens = small_model(std=0.5), small_tokens(301)
    expected = loss(model, tokens)
    monkeypatch.setattr(evaluate, "TOKENS_PER_PASS", tokens_per_pass)
    assert loss(model, tokens) == pytest.approx(expected, rel=1e-6)


def test_windows_of_the_training_text_cover_a_short_one() -> None:
    model, tokens = small_model(std=0.5), small_tokens(8 * 20 + 1)
    assert train_loss(model, tokens) == pytest.approx(plain_loss(model, tokens), rel=1e-5)


def test_windows_of_the_training_text_reach_both_of_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "TRAIN_WINDOWS", 2)
    model, tokens = small_model(std=0.5), small_tokens(301)
    ends = [plain_loss(model, tokens[:9]), plain_loss(model, tokens[-9:])]
    assert train_loss(model, tokens) == pytest.approx(sum(ends) / 2, rel=1e-5)


def test_the_training_text_may_be_longer_than_fp32_counts() -> None:
    tokens = torch.zeros(1, dtype=torch.int32).expand(2**24 + 12)
    assert train_loss(small_model(), tokens) > 0


@pytest.mark.parametrize("loss", [train_loss, validation_loss])
@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(loss: Loss, training: bool) -> None:
    model = small_model(dropout=0.5).train(training)
    first, again = loss(model, small_tokens()), loss(model, small_tokens())
    assert first == again
    assert model.training is training
    assert all(weight.grad is None for weight in model.parameters())
