"""What `import gptkit` offers: the model of a recipe, a run of it, and a trained model out of a run directory."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch

from gptkit.errors import CheckpointError, PluginError
from gptkit.interfaces import Tokenizer
from gptkit.model import GPT
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.check import assembler_of
from gptkit.recipe.resolve import resolve
from gptkit.recipe.resolved import Resolved
from gptkit.registry.loader import Plugins
from gptkit.run.loop import Event, run
from gptkit.run.prepare import prepare
from gptkit.run.time_budget import Budget, seconds_of
from gptkit.storage.run_reader import RunFiles
from gptkit.storage.trust import plugin_files, read_trusted
from gptkit.tuning.auto import choose_machine
from gptkit.tuning.choose_attention import resolve_auto


def build(
    recipe: str | Path,
    *,
    vocab_size: int,
    overrides: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
    trust_plugins: bool = False,
) -> GPT:
    """Return the model of a recipe, with its first weights, on the CPU.

    Where the recipe says `auto` for an attention, that is settled as a run on this machine would settle it, which
    takes seconds the first time.

    Args:
        vocab_size: Number of distinct tokens.
        overrides: Changes to the recipe, each as `--set` takes them: `model.attention=naive`.
        plugins: Plugin files besides those that the recipe names.
        trust_plugins: Whether to run the plugin files of a run directory, where the recipe is one's.

    Raises:
        RecipeError: If the recipe is wrong; says everything that is.
        PluginError: If a plugin does not load, or a part of it cannot be built.
        UsageError: If the recipe is a run directory's, whose plugin files are not trusted.
    """
    files = list(map(Path, plugins))
    written, found = read_trusted(Path(recipe), overrides, files, trust_plugins=trust_plugins)
    assembler = assembler_of(written, found)
    if assembler.resolved.autos:
        device, dtype = choose_machine(assembler.resolved)
        resolved, _ = resolve_auto(
            written, found, assembler.resolved, device=device.value, dtype=dtype.value, vocab_size=vocab_size
        )
        assembler = Assembler(resolved, found.registry)
    return assembler.model(vocab_size)


def train(
    recipe: str | Path,
    *,
    overrides: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
    trust_plugins: bool = False,
    out: str | Path | None = None,
    time: str | None = None,
) -> Iterator[Event]:
    """Run a recipe as `gptkit run` does, and return an iterator of its events.

    The first event names the run directory; the others are steps, evaluations, samples and the end. The run goes
    on only while it is iterated. To stop early, leave the loop: what was saved by then stays, and `gptkit resume`
    goes on from there.

    Args:
        overrides: Changes to the recipe, each as `--set` takes them: `model.attention=naive`.
        plugins: Plugin files besides those that the recipe names.
        trust_plugins: Whether to run the plugin files of a run directory, where the recipe is one's.
        out: The run directory; by default a new one in `runs/`.
        time: Takes as many steps as fit, as `--time` does: `90s`, `3m`, `1h30m`.

    Raises:
        RecipeError: If the recipe is wrong; says everything that is.
        PluginError: If a plugin does not load, or a part of it fails.
        DataError: If the corpus cannot be had or cannot be trained on.
        UsageError: If `out` holds something, or the time is too short.
        NumericsError: If a loss, a gradient or a weight is not finite.
        CheckpointError: If something cannot be saved.
    """
    budget = None if time is None else Budget(seconds_of(time), perf_counter())
    prepared = prepare(
        Path(recipe),
        overrides=overrides,
        plugins=list(map(Path, plugins)),
        trust_plugins=trust_plugins,
        out=None if out is None else Path(out),
    )
    return run(prepared, budget=budget)


@dataclass(frozen=True)
class TrainedRun:
    """A trained model with what it takes to use it."""

    model: GPT
    tokenizer: Tokenizer
    recipe: Resolved

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        return self.tokenizer.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some tokens."""
        return self.tokenizer.decode(ids)


def load(
    run: str | Path,
    *,
    checkpoint: str = "best",
    overrides: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
    trust_plugins: bool = False,
    device: str | torch.device = "cpu",
) -> TrainedRun:
    """Return the model of a run directory, in eval mode.

    Args:
        checkpoint: `best`, `last`, or one by its name, such as `step-000100`.
        overrides: Changes to the recipe that leave the weights as they are, such as `model.attention=naive`.
        plugins: Plugin files besides those of the run.
        trust_plugins: Whether to run the plugin files that the run directory carries.

    Raises:
        CheckpointError: If it is no run directory, or its weights are missing, damaged or do not fit.
        RecipeError: If an override is wrong.
        UsageError: If the run carries plugin files that are neither trusted nor those in `plugins`.
    """
    directory = RunFiles(Path(run))
    written = directory.read(overrides)
    found = Plugins(plugin_files(written, directory, list(map(Path, plugins)), trust_plugins=trust_plugins))
    resolved = resolve(written, found)
    assembler = Assembler(resolved, found.registry)
    try:
        tokenizer = assembler.saved_tokenizer(directory.saved_tokenizer())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{run}: its tokenizer cannot be restored: {error!r}") from error
    saved = directory.checkpoint(checkpoint)
    # A stranger's recipe may ask for more weights than there is memory for: first whether the file has them.
    with suppress(PluginError), torch.device("meta"):
        saved.check_fit(assembler.model(tokenizer.vocab_size))
    model = assembler.model(tokenizer.vocab_size)
    saved.load_weights(model)
    return TrainedRun(model.to(device).eval(), tokenizer, resolved)
