"""What the work of a run takes on this machine, measured on the model itself, which is left as it was."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gptkit.decoding.text import default_prompt, stream_text
from gptkit.model import GPT
from gptkit.run.loss_curves import loss_curves, to_png
from gptkit.run.prepare import PreparedRun
from gptkit.run.time_budget import Costs
from gptkit.storage.checkpoint_store import Checkpoints
from gptkit.storage.snapshot import take
from gptkit.training.evaluate import TOKENS_PER_PASS, TRAIN_WINDOWS, validation_loss
from gptkit.training.train import train

LEAST_STEPS = 2
MOST_STEPS = 1000
# As many passes and tokens as give the rate of an evaluation and of a sample to a few percent.
PASSES = 3
TOKENS = 50


def measure_costs(prepared: PreparedRun, seconds: float, free: int, sample_tokens: int) -> tuple[Costs, int]:
    """Return what the work of a run takes, and from how many steps that of a step was measured.

    Args:
        seconds: How long to measure steps; those that the run may correct itself by count as measured.
        free: Number of these.
        sample_tokens: Length of a sample.
    """
    with restored(prepared.model):
        optimizer = prepared.assembler.optimizer().build(prepared.model.parameter_groups())
        laps = step_laps(prepared, optimizer, seconds, free)
        snapshot = took(lambda: take(1, prepared.model, optimizer, {}))
        costs = Costs(
            # The mean, not the median: the run pays for its slow steps too.
            step=sum(laps) / len(laps),
            evaluation=evaluation_seconds(prepared),
            sample=sample_seconds(prepared) * sample_tokens,
            snapshot=snapshot,
            ending=snapshot + save_seconds(prepared, optimizer) + drawing_seconds(),
        )
    return costs, len(laps)


@contextmanager
def restored(model: GPT) -> Iterator[None]:
    """Put back every weight and buffer that is changed inside, bit for bit."""
    tensors = [*model.parameters(), *model.buffers()]
    before = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for tensor, was in zip(tensors, before, strict=True):
                tensor.copy_(was)


def step_laps(prepared: PreparedRun, optimizer: torch.optim.Optimizer, seconds: float, free: int) -> list[float]:
    """Return how long each of some steps took, the first left out: it warms up, and compiles."""
    steps = train(
        prepared.model,
        prepared.data.train_on(prepared.device.value),
        optimizer,
        no_learning,
        replace(prepared.resolved.train, max_iters=sys.maxsize),
        dtype=prepared.dtype.value,
    )
    times: list[float] = []
    for step in steps:
        step.confirm()
        prepared.data.release()
        times.append(time.perf_counter())
        passed, count = times[-1] - times[0], len(times) - 1
        if count >= MOST_STEPS or (count >= LEAST_STEPS and passed + free * passed / count >= seconds):
            break
    return [after - before for before, after in pairwise(times)]


def no_learning(_step: int) -> float:
    """Return a factor of 0: steps of no length take as long, and lead nowhere that no run would go."""
    return 0.0


def evaluation_seconds(prepared: PreparedRun) -> float:
    """Return how long an evaluation takes, reckoned from a few passes."""
    model, data = prepared.model, prepared.data
    some = data.validation[: PASSES * TOKENS_PER_PASS]
    validation_loss(model, some[: TOKENS_PER_PASS + 1])
    rate = took(lambda: validation_loss(model, some)) / len(some)
    windows = min(TRAIN_WINDOWS * model.dims.block_size, len(data.train))
    return rate * (len(data.validation) + windows)


def sample_seconds(prepared: PreparedRun) -> float:
    """Return how long it takes to write a token of a sample."""
    prompt, seed = default_prompt(prepared.tokenizer), prepared.resolved.train.seed

    def sample(tokens: int) -> None:
        for _ in stream_text(prepared.model, prepared.tokenizer, prompt, tokens, seed=seed):
            pass

    sample(2)
    return took(lambda: sample(TOKENS)) / TOKENS


def save_seconds(prepared: PreparedRun, optimizer: torch.optim.Optimizer) -> float:
    """Return how long it takes to write a checkpoint and read it back, on the disk that the run is to be on."""
    disk = next(folder for folder in prepared.out.absolute().parents if folder.is_dir())
    snapshot = take(1, prepared.model, optimizer, {})
    with TemporaryDirectory(prefix=".gptkit-", dir=disk) as folder:
        return took(lambda: Checkpoints(Path(folder)).save(snapshot, best=True, keep=1))


def drawing_seconds() -> float:
    """Return how long it takes to draw the curves; the first time also finds the fonts."""
    rows = [{"step": step, "loss": 1.0, "train_loss": 1.0, "validation_loss": 1.0} for step in range(100)]

    to_png(loss_curves(rows))
    return took(lambda: to_png(loss_curves(rows)))


def took(work: Callable[[], object]) -> float:
    """Return how many seconds some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
