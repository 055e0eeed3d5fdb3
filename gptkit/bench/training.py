"""One whole training step: forward, backward, clipping and optimizer, beside the baseline and a peer."""

import copy
import sys
from dataclasses import replace
from typing import Any

import torch

from gptkit.bench.baseline import BASELINE, baseline, plain_model
from gptkit.bench.clock import Contestant, Rounds, interleaved
from gptkit.bench.hf_gpt2 import PEER, is_installed, peer_model, peer_step
from gptkit.bench.row import Row, Spread, rows_of
from gptkit.run.prepare import PreparedRun, with_compile_decided
from gptkit.training.train import train
from gptkit.tuning.malloc import training_memory

OURS = "gptkit"


def time_training(prepared: PreparedRun, rounds: Rounds, *, name: str) -> list[Row]:
    """Return a row for each of those that can train a model of a recipe's sizes.

    Args:
        name: What the recipe is called.
    """
    prepared, _ = with_compile_decided(prepared)
    device, dims, settings = prepared.device.value, prepared.model.dims, prepared.resolved.train
    rows = settings.batch_size * settings.grad_accumulation
    contestants = [ours(prepared), *others(prepared, rows)]
    # Memory that is kept serves each of them.
    with training_memory(device, recomputes=False):
        seconds = interleaved(contestants, rounds, device)
    facts: dict[str, dict[str, Any]] = {
        contestant: {"tokens/s": prepared.tokens_per_step / Spread.of(found).median}
        for contestant, found in seconds.items()
    }
    facts[OURS] |= {"dtype": prepared.dtype.value, "compile": settings.compile}
    group = f"train step {name}, {device} {rows}x{dims.block_size}"
    return rows_of(group, seconds, BASELINE, facts)


def ours(prepared: PreparedRun) -> Contestant:
    """Return gptkit's own step, as a run takes it."""
    settings, schedule = prepared.resolved.train, prepared.assembler.schedule()
    device = prepared.device.value
    # What is timed after it finds the model untrained.
    model = copy.deepcopy(prepared.model)
    steps = train(
        model,
        prepared.data.train_on(device),
        prepared.assembler.optimizer().build(model.parameter_groups()),
        # No run ends while it is timed.
        lambda step: schedule(step % settings.max_iters),
        replace(settings, max_iters=sys.maxsize),
        dtype=prepared.dtype.value,
    )

    def step() -> None:
        with training_memory(device, recomputes=settings.checkpoint_activations):
            next(steps)
        prepared.data.release()

    return Contestant(OURS, step)


def others(prepared: PreparedRun, rows: int) -> list[Contestant]:
    """Return the steps of the baseline and of the peer, each as far as it is installed, in fp32.

    Args:
        rows: Sequences in one step.
    """
    device, dims = prepared.device.value, prepared.model.dims
    text = prepared.data.train.cpu().long()
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
