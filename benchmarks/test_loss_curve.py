"""Whether the fast paths learn as the plain program does: the losses after the same steps, over several seeds."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import mean, stdev
from time import perf_counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.bench.baseline import BASELINE, baseline, copy_weights, plain_model
from gptkit.bench.row import Row, rows_of
from gptkit.bench.training import OURS
from gptkit.run.prepare import PreparedRun, prepare
from gptkit.training.train import train

from .conftest import Report

RECIPE = Path(__file__).parents[1] / "recipes" / "gpt_tiny.toml"
# gpt_tiny with dropout, and otherwise as the baseline trains.
SETTINGS = (
    "model.dropout=0.2",
    "model.attention=auto",
    "train.grad_clip=0",
    "train.schedule={use='constant'}",
    "train.optimizer={use='adamw', learning_rate=1e-3}",
    "train.compile=false",
)
BF16 = f"{OURS}, bf16"
DTYPES = {OURS: "auto", BF16: "bf16"}
STEPS, LOOKS, SEEDS = 500, 5, range(5)
# How many standard errors two means may be apart. With 12 degrees of freedom, chance alone leads further in one
# comparison of three thousand.
NOISE = 5.0


@pytest.mark.parametrize("contestant", [OURS, BF16, BASELINE])
def test_loss(report: Report, contestant: str) -> None:
    rows, losses = curves()
    for look, (own, plain) in enumerate(zip(losses[contestant], losses[BASELINE], strict=True)):
        variance = mean(stdev(found[look]) ** 2 for found in losses.values())
        assert abs(mean(own) - mean(plain)) < NOISE * (2 * variance / len(SEEDS)) ** 0.5
    report(rows, contestant)


@cache
def curves() -> tuple[list[Row], dict[str, list[list[float]]]]:
    """Return the rows, and of each contestant the validation losses after each part of the steps, seed by seed."""
    seconds: dict[str, list[float]] = {name: [] for name in (*DTYPES, BASELINE)}
    losses: dict[str, list[list[float]]] = {name: [[] for _ in range(LOOKS)] for name in seconds}
    for seed in SEEDS:
        for name, times in seconds.items():
            wanted = (f"train.seed={seed}", f"train.max_iters={STEPS}", f"train.dtype={DTYPES.get(name, 'fp32')}")
            prepared = prepare(RECIPE, overrides=[*SETTINGS, *wanted])
            took, found = learn(prepared, is_plain=name == BASELINE)
            times.append(took)
            for column, loss in zip(losses[name], found, strict=True):
                column.append(loss)
    facts: dict[str, dict[str, Any]] = {
        name: {
            f"validation loss after {STEPS * (i + 1) // LOOKS}": [min(column), mean(column), max(column)]
            for i, column in enumerate(columns)
        }
        for name, columns in losses.items()
    }
    group = f"learning, {len(SEEDS)} seeds"
    return rows_of(group, {name: tuple(each) for name, each in seconds.items()}, BASELINE, facts), losses


def learn(prepared: PreparedRun, *, is_plain: bool) -> tuple[float, list[float]]:
    """Return the seconds of a step, and the losses on the way; all start with gptkit's weights."""
    device, settings = prepared.device.value, prepared.resolved.train
    model = prepared.model.to(device)
    program = baseline()
    assert program is not None, "it stands beside this file"
    plain = plain_model(program, model.dims)
    copy_weights(model, plain)
    plain.to(device)
    if is_plain:
        torch.manual_seed(settings.seed)
        its_optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-3)
        text = prepared.data.train.long()

        def step() -> None:
            program.train_step(plain.train(), its_optimizer, text, settings.batch_size)

    else:
        optimizer = prepared.assembler.optimizer().build(model.parameter_groups())
        tokens = prepared.data.train_on(device)
        steps = train(model, tokens, optimizer, lambda _: 1.0, settings, dtype=prepared.dtype.value)

        def step() -> None:
            next(steps)

    return followed(step, lambda: loss_of(model, plain, prepared.data.validation, is_plain=is_plain))


def followed(step: Callable[[], None], loss: Callable[[], float]) -> tuple[float, list[float]]:
    """Take all steps, looking at the loss now and then."""
    seconds, losses = 0.0, []
    for _ in range(LOOKS):
        began = perf_counter()
        for _ in range(STEPS // LOOKS):
            step()
        seconds += perf_counter() - began
        losses.append(loss())
    return seconds / STEPS, losses


@torch.no_grad()
def loss_of(model: Any, plain: Any, text: Tensor, *, is_plain: bool) -> float:
    """Return the mean loss over a text, in fp32, by the baseline's program whoever trained."""
    if not is_plain:
        copy_weights(model, plain)
    device, width = next(plain.parameters()).device, plain.block_size
    windows = text.long()[: len(text) // (width + 1) * (width + 1)].view(-1, width + 1).to(device)
    plain.eval()
    total = sum(
        float(F.cross_entropy(plain(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten(), reduction="sum"))
        for rows in windows.split(256)
    )
    return total / (len(windows) * width)
