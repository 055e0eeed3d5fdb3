"""A recipe made ready to run: everything that could be wrong with it is found before anything is written."""

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
from gptkit.recipe.check import assembler_of
from gptkit.recipe.read import Recipe
from gptkit.recipe.resolved import Resolved
from gptkit.recipe.smoke_test import smoke_test
from gptkit.registry.loader import Plugins
from gptkit.storage.checkpoint import Checkpoint
from gptkit.storage.run_writer import RunDir
from gptkit.storage.trust import read_trusted
from gptkit.training.precision import DTYPES
from gptkit.tuning.auto import choose_machine, decide
from gptkit.tuning.choose_attention import TimingResult, resolve_auto
from gptkit.tuning.choose_compile import check_compiler
from gptkit.tuning.choose_device import Decision
from gptkit.tuning.matmul_rate import matmul_rate
from gptkit.tuning.memory_check import check_memory
from gptkit.tuning.trial_step import decide_compile
from gptkit.version import __version__

RUNS = Path("runs")


@dataclass(frozen=True)
class PreparedRun:
    """All that a run needs.

    Args:
        memory: What a step takes and what there is, in words.
        out: The run directory, which is not there yet.
        timings: What the attentions were chosen from, where the recipe says `auto`.
        begun: The directory of a run that goes on, locked; none is a new run.
        checkpoint: What it goes on from; none is the beginning.
    """

    resolved: Resolved
    plugins: Plugins
    assembler: Assembler
    tokenizer: Tokenizer
    data: TokenData
    model: GPT
    device: Decision[torch.device]
    dtype: Decision[str]
    memory: str
    out: Path
    timings: tuple[TimingResult, ...] = ()
    begun: RunDir | None = None
    checkpoint: Checkpoint | None = None

    @property
    def tokens_per_step(self) -> int:
        """Number of tokens that one optimizer step learns from."""
        settings = self.resolved.train
        return settings.batch_size * settings.grad_accumulation * self.model.dims.block_size

    def least_seconds(self) -> float:
        """Return how long all steps take at least, were they nothing but matrix products.

        Source:
            Kaplan et al. 2020, arXiv:2001.08361, section 2.1: 6 operations for each weight and token.
        """
        weights = self.model.parameter_groups()
        n_weights = sum(weight.numel() for weight in [*weights.matrices, self.model.head.weight])
        operations = 6 * n_weights * self.tokens_per_step * self.resolved.train.max_iters
        return operations / matmul_rate(self.device.value, DTYPES[self.dtype.value])

    def directory(self) -> RunDir:
        """Return the run directory, locked; a new one with all that is known before the first step."""
        return self.begun or RunDir.create(
            self.out,
            recipe=self.resolved.text,
            document=self.resolved.document,
            plugins=self.plugins.files,
            tokenizer=self.tokenizer.to_json(),
            origin=self.origin(),
            environment=self.environment(),
        )

    def origin(self) -> dict[str, Any]:
        """Return what must be the same whenever the run goes on."""
        return {
            "document": self.resolved.document,
            "corpus": self.data.fingerprint,
            "dtype": self.dtype.value,
        }

    def environment(self) -> dict[str, Any]:
        """Return what else the result depends on."""
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
    """Return a recipe made ready to run.

    Args:
        overrides: Changes to the recipe, each as `--set` takes them.
        plugins: Plugin files besides those that the recipe names.
        trust_plugins: Whether to run the plugin files of a run directory, where the recipe is one's.
        out: The run directory; by default a new one in `runs/`.

    Raises:
        RecipeError: If the recipe is wrong; says everything that is.
        PluginError: If a plugin does not load, or a part of it cannot be built.
        DataError: If the corpus cannot be had or cannot be trained on.
        UsageError: If there is something in the run directory, or plugin files are not trusted.
    """
    if out is not None:
        RunDir.check_free(out)
    written, found = read_trusted(recipe, overrides, plugins, trust_plugins=trust_plugins)
    return prepare_recipe(written, found, out)


def prepare_recipe(written: Recipe, found: Plugins, out: Path | None, *, dtype: str | None = None) -> PreparedRun:
    """Return a recipe that was read, with plugins that were found, made ready to run.

    Args:
        dtype: The precision, where an earlier choice decides it.
    """
    assembler = assembler_of(written, found)
    resolved = assembler.resolved
    device, precision = choose_machine(resolved, dtype)
    decide("compile", resolved, lambda: check_compiler(resolved.train.compile, device.value))
    tokenizer, data = tokenize(assembler.corpus(), assembler.tokenizer, resolved.sizes["block_size"])
    # Behind the data, because what is wrong with them is found sooner.
    resolved, timings = resolve_auto(
        written, found, resolved, device=device.value, dtype=precision.value, vocab_size=tokenizer.vocab_size
    )
    if dtype is None:
        # What a measurement decided is written down, so that a rerun neither measures nor decides otherwise.
        resolved = resolved.trained_with(dtype=precision.value)
    assembler = Assembler(resolved, found.registry)
    memory = check_memory(assembler, tokenizer.vocab_size, device.value, precision.value)
    model = assembler.model(tokenizer.vocab_size)
    smoke_test(model, found.registry)
    out = out or new_directory(resolved)
    return PreparedRun(resolved, found, assembler, tokenizer, data, model, device, precision, memory, out, timings)


def new_directory(resolved: Resolved) -> Path:
    """Return where a new run goes: `runs/<name>-<time>-<hash of what it computes>`."""
    digest = hashlib.sha256(tomli_w.dumps(resolved.document).encode()).hexdigest()
    return RUNS / f"{resolved.name}-{datetime.now():%Y%m%d-%H%M%S}-{digest[:8]}"


def with_compile_decided(
    prepared: PreparedRun, seconds_left: float | None = None
) -> tuple[PreparedRun, Decision[bool]]:
    """Return an experiment, its model on its device, with the decision whether it is compiled.

    Args:
        seconds_left: How long the run may take, where that decides how many steps it has.

    Raises:
        RecipeError: If there is too little memory for a pass; says which batch_size to try instead.
    """
    resolved, device, dtype = prepared.resolved, prepared.device.value, prepared.dtype.value
    decision = decide_compile(prepared.model, resolved, device, dtype, seconds_left=seconds_left)
    return replace(prepared, resolved=resolved.trained_with(compile=decision.value)), decision
