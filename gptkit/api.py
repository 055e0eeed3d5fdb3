"""The functions of `import gptkit`: build the model of a recipe, train it, and load the model of a run."""

import atexit
import signal
import weakref
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch

from gptkit.errors import CheckpointError, PluginError
from gptkit.interfaces import Tokenizer
from gptkit.model import GPT
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.check import check_recipe
from gptkit.recipe.resolve import resolve
from gptkit.recipe.resolved import Resolved
from gptkit.recipe.shipped import find_recipe
from gptkit.registry.loader import Plugins
from gptkit.run.events import Event
from gptkit.run.loop import run
from gptkit.run.prepare import PreparedRun, prepare
from gptkit.run.stop import Stop
from gptkit.run.time_budget import Budget, parse_duration
from gptkit.storage.run_reader import RunReader
from gptkit.storage.trust import plugin_files, read_trusted
from gptkit.tuning.choose_attention import resolve_auto
from gptkit.tuning.machine import choose_machine
from gptkit.tuning.threads import Neighbours, threads_in_use, warn_of_spinning


def build(
    recipe: str | Path,
    *,
    vocab_size: int,
    overrides: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
    trust_plugins: bool = False,
) -> GPT:
    """Return the model of a recipe, with its first weights, on the CPU.

    An attention given as `auto` is chosen by timing on this machine, as in a run; the first time takes seconds.

    Args:
        recipe: A TOML file, or the name of a recipe that comes with gptkit: `gpt_small`.
        vocab_size: Number of distinct tokens.
        overrides: Changes to the recipe, each as `--set` takes them: `model.attention=naive`.
        plugins: Plugin files besides those that the recipe names.
        trust_plugins: Whether to run the plugin files of a run directory, if the recipe is from one.

    Raises:
        RecipeError: If the recipe is wrong; lists every problem.
        PluginError: If a plugin does not load, or a part of it cannot be built.
        UsageError: If the recipe is from a run directory whose plugin files are not trusted.
    """
    files = list(map(Path, plugins))
    written, found = read_trusted(find_recipe(recipe), overrides, files, trust_plugins=trust_plugins)
    assembler = check_recipe(written, found)
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
) -> Generator[Event, None, None]:
    """Run a recipe as `gptkit run` does, and return an iterator of its events.

    The recipe is checked in this call; training goes on only while the result is iterated. The first event,
    `Started`, names the run directory; steps, evaluations, samples and the end follow.

    To stop early, leave the loop: the last step is saved, and `gptkit resume` continues from it to the same bits.
    An interrupt does the same and then raises KeyboardInterrupt; a second one stops at once. The directory stays
    locked until the result is closed, by its `close()` or because no name refers to it.

    Args:
        recipe: A TOML file, or the name of a recipe that comes with gptkit: `gpt_tiny`.
        overrides: Changes to the recipe, each as `--set` takes them: `model.attention=naive`.
        plugins: Plugin files besides those that the recipe names.
        trust_plugins: Whether to run the plugin files of a run directory, if the recipe is from one.
        out: The run directory; by default a new one in `runs/`.
        time: Take as many steps as fit, as with `--time`: `90s`, `3m`, `1h30m`, counted from this call.

    Raises:
        RecipeError: If the recipe is wrong; lists every problem.
        PluginError: If a plugin does not load, or a part of it fails.
        DataError: If the corpus cannot be read or is too short to train on.
        UsageError: If `out` is not empty, or the time is too short.
        NumericsError: If a loss, a gradient or a weight is not finite.
        CheckpointError: If something cannot be saved.
    """
    budget = None if time is None else Budget(parse_duration(time), perf_counter())
    neighbours = Neighbours()
    prepared = prepare(
        find_recipe(recipe),
        overrides=overrides,
        plugins=list(map(Path, plugins)),
        trust_plugins=trust_plugins,
        out=None if out is None else Path(out),
    )
    if prepared.device.value.type == "cpu":
        warn_of_spinning(threads_in_use(torch.get_num_threads()), neighbours.busy_cpus())
    events = interruptible_events(prepared, budget)
    # A program that ends in the middle of its loop saves the last step before the interpreter shuts down.
    alive = weakref.ref(events)

    @atexit.register
    def close_at_exit() -> None:
        if (left := alive()) is not None:
            left.close()

    return events


def interruptible_events(prepared: PreparedRun, budget: Budget | None) -> Generator[Event, None, None]:
    """Yield the events of a run; a signal takes effect once the step that it arrives in is finished and saved."""
    stop = Stop()
    with closing(run(prepared, stop, budget)) as events:
        while True:
            # Only in here: the code of the caller's loop is interrupted as usual.
            with stop:
                event = next(events, None)
            if event is None:
                break
            yield event
    if stop.signal is not None:
        signal.raise_signal(stop.signal)


@dataclass(frozen=True)
class TrainedRun:
    """A trained model with its tokenizer and resolved recipe."""

    model: GPT
    tokenizer: Tokenizer
    recipe: Resolved

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return self.tokenizer.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""
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
        CheckpointError: If it is no run directory, or its weights are missing, damaged or of another shape.
        RecipeError: If an override is wrong.
        UsageError: If the run carries plugin files that are neither trusted nor those in `plugins`.
    """
    directory = RunReader(Path(run))
    written = directory.read(overrides)
    found = Plugins(plugin_files(written, directory, list(map(Path, plugins)), trust_plugins=trust_plugins))
    resolved = resolve(written, found)
    assembler = Assembler(resolved, found.registry)
    try:
        tokenizer = assembler.saved_tokenizer(directory.saved_tokenizer())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{run}: its tokenizer cannot be restored: {error!r}") from error
    saved = directory.checkpoints.get(checkpoint)
    # A downloaded recipe may ask for more weights than fit in memory: first check that the file has them.
    with suppress(PluginError), torch.device("meta"):
        saved.check_fit(assembler.model(tokenizer.vocab_size))
    model = assembler.model(tokenizer.vocab_size)
    saved.load_weights(model)
    return TrainedRun(model.to(device).eval(), tokenizer, resolved)
