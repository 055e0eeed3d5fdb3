"""Decides which plugin files of a run directory may run: none, unless the user trusts them."""

from collections.abc import Sequence
from pathlib import Path

from gptkit.errors import Problem, RecipeError, UsageError
from gptkit.recipe.read import Recipe, read
from gptkit.registry.loader import Plugins
from gptkit.storage.run_reader import RunReader
from gptkit.storage.safe_read import digest


def read_trusted(
    path: Path, overrides: Sequence[str], named: Sequence[Path], *, trust_plugins: bool
) -> tuple[Recipe, Plugins]:
    """Return a recipe and its plugins.

    Args:
        named: Plugin files that the user named.

    Raises:
        RecipeError: If the recipe cannot be read.
        PluginError: If a plugin does not load.
        UsageError: If the recipe is from a run directory with plugin files that the user does not trust.
    """
    directory = RunReader.of(path)
    written = directory.read(overrides) if directory else read(path, overrides)
    return written, Plugins(plugin_files(written, directory, named, trust_plugins=trust_plugins))


def plugin_files(
    recipe: Recipe, directory: RunReader | None, named: Sequence[Path], *, trust_plugins: bool
) -> list[Path]:
    """Return the plugin files to run.

    A recipe outside a run directory names them. Those inside a run directory run only if the user trusts them, or
    names files of the same contents.

    Args:
        directory: The run directory of the recipe, if it is in one.
        named: Plugin files that the user named.

    Raises:
        UsageError: If a run directory has plugin files that the user does not trust.
    """
    if directory is None:
        return [*recipe.plugins, *named]
    hashes = {hash_named(file): file for file in named}
    carried = [file for file in recipe.plugins if digest(file)[1] not in hashes]
    if carried and not trust_plugins:
        files = ", ".join(map(str, carried))
        raise UsageError(
            f"{directory.root} carries plugin files, which are programs: {files}. They run only if you trust "
            "them, with --trust-plugins (in Python, trust_plugins=True), or if you name files of the same "
            "contents with --plugin"
        )
    return [*carried, *named]


def hash_named(file: Path) -> str:
    """Return the SHA-256 of a file that the user named."""
    if not file.is_file():
        raise RecipeError([Problem(str(file), "plugins", "no such plugin file")])
    return digest(file.resolve())[1]
