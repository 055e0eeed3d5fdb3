"""Compares the losses of the fast paths with those of the baseline after the same steps, over several seeds."""

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
from gptkit.bench.clock import Timings
from gptkit.bench.result import BenchResult, results_of
from gptkit.bench.training import GPTKIT
from gptkit.run.prepare import PreparedRun, prepare
from gptkit.training.train import train
from gptkit.tuning.threads import Neighbours

from .conftest import Report

RECIPE = Path(__file__).parents[1] / "recipes" / "gpt_tiny.toml"
# gpt_tiny with dropout, otherwise with the baseline's settings.
SETTINGS = (
    "model.dropout=0.2",
    "model.attention=auto",
    "train.grad_clip=0",
    "train.schedule={use='constant'}",
    "train.optimizer={use='adamw', learning_rate=1e-3}",
    "train.compile=false",
)
BF16 = f"{GPTKIT}, bf16"
DTYPES = {GPTKIT: "auto", BF16: "bf16"}
STEPS, EVALUATIONS, SEEDS = 500, 5, range(5)
# How many standard errors two means may differ by. With 12 degrees of freedom, chance exceeds that once in three
# thousand comparisons.
NOISE = 5.0


@pytest.mark.learning
@pytest.mark.parametrize("name", [GPTKIT, BF16, BASELINE])
def test_loss(report: Report, name: str) -> None:
    results, losses = curves()
    for evaluation, (own, plain) in enumerate(zip(losses[name], losses[BASELINE], strict=True)):
        variance = mean(stdev(found[evaluation]) ** 2 for found in losses.values())
        assert abs(mean(own) - mean(plain)) < NOISE * (2 * variance / len(SEEDS)) ** 0.5
    figures = {
        f"validation loss after {STEPS * (i + 1) // EVALUATIONS}": [min(found), mean(found), max(found)]
        for i, found in enumerate(losses[name])
    }
    report(results, name, figures)


@cache
def curves() -> tuple[list[BenchResult], dict[str, list[list[float]]]]:
    """Return the results, and the validation losses of each program: a loss per seed, for each evaluation."""
    seconds: dict[str, list[float]] = {name: [] for name in (*DTYPES, BASELINE)}
    losses: dict[str, list[list[float]]] = {name: [[] for _ in range(EVALUATIONS)] for name in seconds}
    neighbours = Neighbours()
    for seed in SEEDS:
        for name, times in seconds.items():
            own = (f"train.seed={seed}", f"train.max_iters={STEPS}", f"train.dtype={DTYPES.get(name, 'fp32')}")
            prepared = prepare(RECIPE, overrides=[*SETTINGS, *own])
            step_seconds, found = learn(prepared, is_plain=name == BASELINE)
            times.append(step_seconds)
            for column, loss in zip(losses[name], found, strict=True):
                column.append(loss)
    timings = Timings({name: tuple(each) for name, each in seconds.items()}, neighbours.busy_cpus())
    group = f"learning, {len(SEEDS)} seeds"
    return results_of(group, timings, BASELINE, {}), losses


def learn(prepared: PreparedRun, *, is_plain: bool) -> tuple[float, list[float]]:
    """Return the seconds of a step, and the validation losses; every program starts from gptkit's weights."""
    device, settings = prepared.device.value, prepared.resolved.train
    model = prepared.model.to(device)
    program = baseline()
    assert program is not None, "it is beside this file"
    plain = plain_model(program, model.dims)
    copy_weights(model, plain)
    plain.to(device)
    if is_plain:
        torch.manual_seed(settings.seed)
        plain_optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-3)
        text = prepared.data.train.long()

        def step() -> None:
            program.train_step(plain.train(), plain_optimizer, text, settings.batch_size)

    else:
        optimizer = prepared.assembler.optimizer().build(model.parameter_groups())
        tokens = prepared.data.train_on(device)
        steps = train(model, tokens, optimizer, lambda _: 1.0, settings, dtype=prepared.dtype.value)

        def step() -> None:
            next(steps)

    return take_steps(step, lambda: loss_of(model, plain, prepared.data.validation, is_plain=is_plain))


def take_steps(step: Callable[[], None], loss: Callable[[], float]) -> tuple[float, list[float]]:
    """Take all steps; return the seconds of one, and the losses at each evaluation."""
    seconds, losses = 0.0, []
    for _ in range(EVALUATIONS):
        began = perf_counter()
        for _ in range(STEPS // EVALUATIONS):
            step()
        seconds += perf_counter() - began
        losses.append(loss())
    return seconds / STEPS, losses


@torch.no_grad()
def loss_of(model: Any, plain: Any, text: Tensor, *, is_plain: bool) -> float:
    """Return the mean loss over a text, in fp32; the baseline's program computes it for every model."""
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
