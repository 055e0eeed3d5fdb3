"""The model of a recipe, untrained."""

from collections.abc import Sequence
from pathlib import Path

from gptkit.assemble import assembler_of
from gptkit.model import GPT
from gptkit.trust import read_trusted


def build(
    recipe: str | Path,
    *,
    vocab_size: int,
    overrides: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
    trust_plugins: bool = False,
) -> GPT:
    """Return the model of a recipe, with its first weights, on the CPU.

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
    return assembler_of(written, found).model(vocab_size)
