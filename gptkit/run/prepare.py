"""Prepares a recipe to run: finds everything that may be wrong with it before anything is written."""

import hashlib
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import tomli_w
import torch

from gptkit.data.tokenize import TokenData, tokenize
from gptkit.interfaces import Tokenizer
from gptkit.model import GPT
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.check import check_recipe
from gptkit.recipe.read import Recipe
from gptkit.recipe.resolved import Resolved
from gptkit.recipe.smoke_test import smoke_test
from gptkit.registry.loader import Plugins
from gptkit.storage.checkpoint import Checkpoint
from gptkit.storage.run_writer import RunWriter
from gptkit.storage.trust import read_trusted
from gptkit.training.precision import DTYPES
from gptkit.tuning.choose_attention import TimingResult, resolve_auto
from gptkit.tuning.machine import Decision, check_compiler, choose_machine, decide
from gptkit.tuning.matmul_rate import matmul_rate
from gptkit.tuning.memory_check import MemoryCheck, check_memory
from gptkit.tuning.trial_step import decide_compile
from gptkit.version import __version__

RUNS = Path("runs")


@dataclass(frozen=True)
class PreparedRun:
    """Everything that a run needs.

    Args:
        memory: What a step takes, and what is free.
        out: The run directory, which does not exist yet.
        timings: Measurements that attentions given as `auto` were chosen by.
        begun: The locked directory of a resumed run; None is a new run.
        checkpoint: What to resume from; None is the beginning.
    """

    resolved: Resolved
    plugins: Plugins
    assembler: Assembler
    tokenizer: Tokenizer
    data: TokenData
    model: GPT
    device: Decision[torch.device]
    dtype: Decision[str]
    memory: MemoryCheck
    out: Path
    timings: tuple[TimingResult, ...] = ()
    begun: RunWriter | None = None
    checkpoint: Checkpoint | None = None

    @property
    def tokens_per_step(self) -> int:
        """Number of tokens that one optimizer step learns from."""
        settings = self.resolved.train
        return settings.batch_size * settings.grad_accumulation * self.model.dims.block_size

    def least_seconds(self) -> float:
        """Return a lower bound on the seconds of all steps, from their matrix products alone.

        Source:
            Kaplan et al. 2020, arXiv:2001.08361, section 2.1: 6 operations per weight and token.
        """
        weights = self.model.parameter_groups()
        n_weights = sum(weight.numel() for weight in [*weights.matrices, self.model.head.weight])
        operations = 6 * n_weights * self.tokens_per_step * self.resolved.train.max_iters
        return operations / matmul_rate(self.device.value, DTYPES[self.dtype.value])

    def directory(self) -> RunWriter:
        """Return the locked run directory; creates that of a new run."""
        return self.begun or RunWriter.create(
            self.out,
            recipe=self.resolved.text,
            document=self.resolved.document,
            plugins=self.plugins.files,
            tokenizer=self.tokenizer.to_json(),
            origin=self.origin(),
            environment=self.environment(),
        )

    def origin(self) -> dict[str, Any]:
        """Return what must be unchanged when the run is resumed."""
        return {"document": self.resolved.document, "corpus": self.data.fingerprint, "dtype": self.dtype.value}

    def environment(self) -> dict[str, Any]:
        """Return versions, device and command line: what else the result depends on."""
        installed = [plugin for plugin in self.plugins.loaded if plugin.origin.startswith("entry point")]
        return {
            "gptkit": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "platform": platform.platform(),
            "device": str(self.device.value),
            "dtype": self.dtype.value,
            "threads": torch.get_num_threads(),
            "installed_plugins": {plugin.name: plugin.version for plugin in installed},
            "command": sys.argv,
        }


def prepare(
    recipe: Path,
    *,
    overrides: Sequence[str] = (),
    plugins: Sequence[Path] = (),
    trust_plugins: bool = False,
    out: Path | None = None,
) -> PreparedRun:
    """Return a recipe prepared to run; arguments and errors are those of `gptkit.train`."""
    if out is not None:
        RunWriter.check_free(out)
    written, found = read_trusted(recipe, overrides, plugins, trust_plugins=trust_plugins)
    return prepare_recipe(written, found, out)


def prepare_recipe(written: Recipe, found: Plugins, out: Path | None, *, dtype: str | None = None) -> PreparedRun:
    """Return a recipe and its plugins prepared to run.

    Args:
        dtype: The precision of a resumed run.
    """
    assembler = check_recipe(written, found)
    resolved = assembler.resolved
    device, precision = choose_machine(resolved, dtype)
    decide("compile", resolved, lambda: check_compiler(resolved.train.compile, device.value))
    tokenizer, data = tokenize(assembler.corpus(), assembler.tokenizer, resolved.sizes["block_size"])
    # After the data, because errors in the data show up sooner.
    resolved, timings = resolve_auto(
        written, found, resolved, device=device.value, dtype=precision.value, vocab_size=tokenizer.vocab_size
    )
    if dtype is None:
        # Record the measured choice, so that a rerun neither measures nor chooses differently.
        resolved = resolved.trained_with(dtype=precision.value)
    assembler = Assembler(resolved, found.registry)
    memory = check_memory(assembler, tokenizer.vocab_size, device.value, precision.value)
    model = assembler.model(tokenizer.vocab_size)
    smoke_test(model, found.registry)
    out = out or new_directory(resolved)
    return PreparedRun(resolved, found, assembler, tokenizer, data, model, device, precision, memory, out, timings)


def new_directory(resolved: Resolved) -> Path:
    """Return the directory of a new run: `runs/<name>-<time>-<hash of the resolved recipe>`."""
    digest = hashlib.sha256(tomli_w.dumps(resolved.document).encode()).hexdigest()
    return RUNS / f"{resolved.name}-{datetime.now():%Y%m%d-%H%M%S}-{digest[:8]}"


def with_compile_decided(
    prepared: PreparedRun, seconds_left: float | None = None
) -> tuple[PreparedRun, Decision[bool]]:
    """Move the model to its device, and return the run with the decision whether to compile.

    Args:
        seconds_left: The time left of a run whose number of steps is set by a time.

    Raises:
        RecipeError: If a forward and backward pass does not fit in memory; suggests a batch_size.
    """
    resolved, device, dtype = prepared.resolved, prepared.device.value, prepared.dtype.value
    decision = decide_compile(prepared.model, resolved, device, dtype, seconds_left=seconds_left)
    return replace(prepared, resolved=resolved.trained_with(compile=decision.value)), decision
