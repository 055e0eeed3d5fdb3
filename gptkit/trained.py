"""A trained model out of its run directory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gptkit.assemble import Assembler
from gptkit.errors import CheckpointError
from gptkit.interfaces import Tokenizer
from gptkit.model import GPT
from gptkit.plugins import Plugins
from gptkit.recipe import read
from gptkit.resolve import resolve
from gptkit.resolved import Resolved
from gptkit.run_dir import RunDir


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
    device: str | torch.device = "cpu",
) -> TrainedRun:
    """Return the model of a run directory, in eval mode.

    Args:
        checkpoint: `best` or `last`.
        overrides: Changes to the recipe that leave the weights as they are, such as `model.attention=naive`.
        plugins: Plugin files besides those of the run.

    Raises:
        CheckpointError: If it is no run directory, or its weights are missing, damaged or do not fit.
        RecipeError: If an override is wrong.
    """
    directory = RunDir(Path(run))
    written = read(directory.resolved, overrides)
    found = Plugins([*written.plugins, *map(Path, plugins)])
    resolved = resolve(written, found)
    assembler = Assembler(resolved, found.registry)
    try:
        tokenizer = assembler.saved_tokenizer(directory.saved_tokenizer())
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{run}: its tokenizer cannot be restored: {error!r}") from error
    model = assembler.model(tokenizer.vocab_size)
    directory.load_weights(model, checkpoint)
    return TrainedRun(model.to(device).eval(), tokenizer, resolved)
