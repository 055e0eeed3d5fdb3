"""Measures what steps, evaluations, samples and saves cost here, so that `--time` works on any machine.

Measured on the model itself, which is left as it was.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gptkit.decoding.text import default_prompt, stream_text
from gptkit.run.loss_curves import loss_curves, to_png
from gptkit.run.prepare import PreparedRun
from gptkit.run.time_budget import Costs
from gptkit.storage.checkpoint_store import CheckpointStore
from gptkit.storage.snapshot import take
from gptkit.training.evaluate import TOKENS_PER_PASS, TRAIN_WINDOWS, validation_loss
from gptkit.training.restored import restored
from gptkit.training.train import train

LEAST_STEPS = 2
MOST_STEPS = 1000
# Enough passes and tokens to know the rate of an evaluation and of a sample to a few percent.
PASSES = 3
TOKENS = 50


def measure_costs(prepared: PreparedRun, seconds: float, adjustable: int, sample_tokens: int) -> tuple[Costs, int]:
    """Return the costs of a run, and the number of steps that were measured.

    Args:
        seconds: How long to measure steps. The run's own first `adjustable` steps count, because the total can
            still change after them.
        sample_tokens: Length of a sample.
    """
    with restored(prepared.model):
        optimizer = prepared.assembler.optimizer().build(prepared.model.parameter_groups())
        durations = step_seconds(prepared, optimizer, seconds, adjustable)
        snapshot = seconds_for(lambda: take(1, prepared.model, optimizer, {}))
        costs = Costs(
            # The mean, not the median: the run pays for its slow steps too.
            step=sum(durations) / len(durations),
            evaluation=evaluation_seconds(prepared),
            sample=sample_seconds(prepared) * sample_tokens,
            snapshot=snapshot,
            ending=snapshot + save_seconds(prepared, optimizer) + drawing_seconds(),
        )
    return costs, len(durations)


def step_seconds(
    prepared: PreparedRun, optimizer: torch.optim.Optimizer, seconds: float, adjustable: int
) -> list[float]:
    """Return the seconds of each of some steps, without the first, which warms up and compiles."""
    steps = train(
        prepared.model,
        prepared.data.train_on(prepared.device.value),
        optimizer,
        # A learning rate of 0: steps take as long and change no weight.
        lambda _: 0.0,
        replace(prepared.resolved.train, max_iters=sys.maxsize),
        dtype=prepared.dtype.value,
    )
    times: list[float] = []
    for step in steps:
        step.confirm()
        prepared.data.release()
        times.append(time.perf_counter())
        passed, count = times[-1] - times[0], len(times) - 1
        if count >= MOST_STEPS or (count >= LEAST_STEPS and passed + adjustable * passed / count >= seconds):
            break
    return [after - before for before, after in pairwise(times)]


def evaluation_seconds(prepared: PreparedRun) -> float:
    """Return the seconds of an evaluation, extrapolated from a few passes."""
    model, data = prepared.model, prepared.data
    some = data.validation[: PASSES * TOKENS_PER_PASS]
    validation_loss(model, some[: TOKENS_PER_PASS + 1])
    rate = seconds_for(lambda: validation_loss(model, some)) / len(some)
    windows = min(TRAIN_WINDOWS * model.dims.block_size, len(data.train))
    return rate * (len(data.validation) + windows)


def sample_seconds(prepared: PreparedRun) -> float:
    """Return the seconds per token of a sample."""
    prompt, seed = default_prompt(prepared.tokenizer), prepared.resolved.train.seed

    def sample(tokens: int) -> None:
        for _ in stream_text(prepared.model, prepared.tokenizer, prompt, tokens, seed=seed):
            pass

    sample(2)
    return seconds_for(lambda: sample(TOKENS)) / TOKENS


def save_seconds(prepared: PreparedRun, optimizer: torch.optim.Optimizer) -> float:
    """Return the seconds to write a checkpoint and read it back, on the disk of the run directory."""
    disk = next(folder for folder in prepared.out.absolute().parents if folder.is_dir())
    snapshot = take(1, prepared.model, optimizer, {})
    with TemporaryDirectory(prefix=".gptkit-", dir=disk) as folder:
        return seconds_for(lambda: CheckpointStore(Path(folder)).save(snapshot, best=True, keep=1))


def drawing_seconds() -> float:
    """Return the seconds to draw the loss curves, without the first time, which also looks for fonts."""
    rows = [{"step": step, "loss": 1.0, "train_loss": 1.0, "validation_loss": 1.0} for step in range(100)]
    to_png(loss_curves(rows))
    return seconds_for(lambda: to_png(loss_curves(rows)))


def seconds_for(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
