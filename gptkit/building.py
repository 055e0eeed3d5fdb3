"""The model of a recipe, untrained."""

from collections.abc import Sequence
from pathlib import Path

from gptkit.assemble import Assembler, assembler_of
from gptkit.choose_attention import settle
from gptkit.experiment import decide, precision_of
from gptkit.hardware import choose_device
from gptkit.model import GPT
from gptkit.plugins import Plugins
from gptkit.recipe import Recipe
from gptkit.resolved import Resolved
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
        assembler = Assembler(settled(written, found, assembler.resolved, vocab_size), found.registry)
    return assembler.model(vocab_size)


def settled(written: Recipe, found: Plugins, resolved: Resolved, vocab_size: int) -> Resolved:
    """Return a recipe whose attentions are settled as a run of it on this machine would."""
    device = decide("device", resolved, lambda: choose_device(resolved.train.device)).value
    dtype = precision_of(resolved, device).value
    return settle(written, found, resolved, device=device, dtype=dtype, vocab_size=vocab_size)[0]
