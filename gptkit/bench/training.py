"""One whole training step: forward, backward, clipping and optimizer, beside the baseline and a peer."""

import copy
import sys
from dataclasses import replace
from typing import Any

import torch

from gptkit.allocator import training_memory
from gptkit.bench.baseline import BASELINE, baseline, plain_model
from gptkit.bench.clock import Contestant, Pace, interleaved
from gptkit.bench.peer import PEER, is_installed, peer_model, peer_step
from gptkit.bench.row import Row, Spread, rows_of
from gptkit.experiment import Experiment
from gptkit.train import train
from gptkit.trial import try_pass

OURS = "gptkit"


def time_training(experiment: Experiment, pace: Pace, *, name: str) -> list[Row]:
    """Return a row for each of those that can train a model of a recipe's sizes.

    Args:
        name: What the recipe is called.
    """
    experiment, _ = try_pass(experiment)
    device, dims, settings = experiment.device.value, experiment.model.dims, experiment.resolved.train
    rows = settings.batch_size * settings.grad_accumulation
    contestants = [ours(experiment), *others(experiment, rows)]
    # Memory that is kept serves each of them.
    with training_memory(device, recomputes=False):
        seconds = interleaved(contestants, pace, device)
    facts: dict[str, dict[str, Any]] = {
        contestant: {"tokens/s": experiment.tokens_per_step / Spread.of(found).median}
        for contestant, found in seconds.items()
    }
    facts[OURS] |= {"dtype": experiment.dtype.value, "compile": settings.compile}
    group = f"train step {name}, {device} {rows}x{dims.block_size}"
    return rows_of(group, seconds, BASELINE, facts)


def ours(experiment: Experiment) -> Contestant:
    """Return gptkit's own step, as a run takes it."""
    settings, schedule = experiment.resolved.train, experiment.assembler.schedule()
    device = experiment.device.value
    # What is timed after it finds the model untrained.
    model = copy.deepcopy(experiment.model)
    steps = train(
        model,
        experiment.data.train_on(device),
        experiment.assembler.optimizer().build(model.parameter_groups()),
        # No run ends while it is timed.
        lambda step: schedule(step % settings.max_iters),
        replace(settings, max_iters=sys.maxsize),
        dtype=experiment.dtype.value,
    )

    def step() -> None:
        with training_memory(device, recomputes=settings.checkpoint_activations):
            next(steps)
        experiment.data.release()

    return Contestant(OURS, step)


def others(experiment: Experiment, rows: int) -> list[Contestant]:
    """Return the steps of the baseline and of the peer, each as far as it is installed, in fp32.

    Args:
        rows: Sequences in one step.
    """
    device, dims = experiment.device.value, experiment.model.dims
    text = experiment.data.train.cpu().long()
    found: list[Contestant] = []
    if (program := baseline()) is not None:
        plain = plain_model(program, dims).to(device).train()
        optimizer = torch.optim.AdamW(plain.parameters(), lr=3e-4)
        found.append(Contestant(BASELINE, lambda: program.train_step(plain, optimizer, text, rows)))
    if is_installed():
        peer = peer_model(dims).to(device).train()
        its_optimizer = torch.optim.AdamW(peer.parameters(), lr=3e-4)
        found.append(Contestant(PEER, lambda: peer_step(peer, its_optimizer, text, rows, dims.block_size)))
    return found
