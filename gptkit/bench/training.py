"""Times whole training steps of gptkit, the baseline and transformers' GPT-2."""

import copy
import sys
from dataclasses import replace

import torch

from gptkit.bench import hf_gpt2
from gptkit.bench.baseline import BASELINE, baseline, plain_model
from gptkit.bench.clock import Rounds, TimedCall, time_interleaved
from gptkit.bench.result import BenchResult, Details, Spread, results_of
from gptkit.run.prepare import PreparedRun, with_compile_decided
from gptkit.training.train import train
from gptkit.tuning.malloc import training_memory

GPTKIT = "gptkit"


def time_training(prepared: PreparedRun, rounds: Rounds, *, name: str) -> list[BenchResult]:
    """Return a result for each program that can train a model of a recipe's sizes.

    Args:
        name: Name of the recipe.
    """
    prepared, _ = with_compile_decided(prepared)
    device, settings = prepared.device.value, prepared.resolved.train
    sequences = settings.batch_size * settings.grad_accumulation
    calls = [gptkit_step(prepared), *reference_steps(prepared, sequences)]
    # The same allocator settings for all of them.
    with training_memory(device, recomputes=False):
        timings = time_interleaved(calls, rounds, device)
    details = {
        program: Details(tokens_per_second=prepared.tokens_per_step / Spread.of(own).median)
        for program, own in timings.seconds.items()
    }
    details[GPTKIT] = replace(details[GPTKIT], dtype=prepared.dtype.value, compile=bool(settings.compile))
    group = f"train step {name}, {device} {sequences}x{prepared.model.dims.block_size}"
    return results_of(group, timings, BASELINE, details)


def gptkit_step(prepared: PreparedRun) -> TimedCall:
    """Return gptkit's own step, as a run takes it."""
    settings, schedule = prepared.resolved.train, prepared.assembler.schedule()
    device = prepared.device.value
    # A copy, because later benchmarks need the model untrained.
    model = copy.deepcopy(prepared.model)
    steps = train(
        model,
        prepared.data.train_on(device),
        prepared.assembler.optimizer().build(model.parameter_groups()),
        # The benchmark takes as many steps as it likes.
        lambda step: schedule(step % settings.max_iters),
        replace(settings, max_iters=sys.maxsize),
        dtype=prepared.dtype.value,
    )

    def step() -> None:
        with training_memory(device, recomputes=settings.checkpoint_activations):
            next(steps)
        prepared.data.release()

    return TimedCall(GPTKIT, step)


def reference_steps(prepared: PreparedRun, sequences: int) -> list[TimedCall]:
    """Return the steps of the baseline and of transformers' GPT-2, as far as they are installed, in fp32.

    Args:
        sequences: Number of sequences in one step.
    """
    device, dims = prepared.device.value, prepared.model.dims
    text = prepared.data.train.cpu().long()
    calls: list[TimedCall] = []
    if (program := baseline()) is not None:
        plain = plain_model(program, dims).to(device).train()
        plain_optimizer = torch.optim.AdamW(plain.parameters(), lr=3e-4)
        calls.append(TimedCall(BASELINE, lambda: program.train_step(plain, plain_optimizer, text, sequences)))
    if hf_gpt2.is_installed():
        gpt2 = hf_gpt2.build(dims).to(device).train()
        optimizer = torch.optim.AdamW(gpt2.parameters(), lr=3e-4)
        calls.append(
            TimedCall(hf_gpt2.NAME, lambda: hf_gpt2.train_step(gpt2, optimizer, text, sequences, dims.block_size))
        )
    return calls
