"""A trained model out of its run directory."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from gptkit.assemble import Assembler
from gptkit.errors import CheckpointError, PluginError
from gptkit.interfaces import Tokenizer
from gptkit.model import GPT
from gptkit.plugins import Plugins
from gptkit.resolve import resolve
from gptkit.resolved import Resolved
from gptkit.run_files import RunFiles
from gptkit.trust import plugin_files


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
