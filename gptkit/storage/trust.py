"""Which plugin files of a run directory may be run: a run directory is data until somebody says otherwise."""

from collections.abc import Sequence
from pathlib import Path

from gptkit.errors import Problem, RecipeError, UsageError
from gptkit.recipe.read import Recipe, read
from gptkit.registry.loader import Plugins
from gptkit.storage.run_reader import RunFiles
from gptkit.storage.safe_read import digest


def read_trusted(
    path: Path, overrides: Sequence[str], named: Sequence[Path], *, trust_plugins: bool
) -> tuple[Recipe, Plugins]:
    """Return a recipe and the plugins that it may use.

    Args:
        named: Plugin files that the user named.

    Raises:
        RecipeError: If the recipe cannot be read.
        PluginError: If a plugin does not load.
        UsageError: If the recipe is a run directory's, which carries plugin files that nobody trusts.
    """
    directory = RunFiles.of(path)
    written = directory.read(overrides) if directory else read(path, overrides)
    return written, Plugins(plugin_files(written, directory, named, trust_plugins=trust_plugins))


def plugin_files(
    recipe: Recipe, directory: RunFiles | None, named: Sequence[Path], *, trust_plugins: bool
) -> list[Path]:
    """Return the plugin files to run.

    A recipe that somebody wrote says which; those that a run directory carries need trust, or the same contents as
    a file that was named.

    Args:
        directory: The run directory that the recipe is of, if it is one's.
        named: Plugin files that the user named.

    Raises:
        UsageError: If a run directory carries plugin files that nobody trusts.
    """
    if directory is None:
        return [*recipe.plugins, *named]
    hashes = {contents(file): file for file in named}
    carried = [file for file in recipe.plugins if digest(file)[1] not in hashes]
    if carried and not trust_plugins:
        files = ", ".join(map(str, carried))
        raise UsageError(
            f"{directory.root} carries plugin files, which are programs: {files}. They run only if you trust "
            "them, with --trust-plugins (in Python, trust_plugins=True), or if you name files of the same "
            "contents with --plugin"
        )
    return [*carried, *named]


def contents(file: Path) -> str:
    """Return the SHA-256 of a file that the user named."""
    if not file.is_file():
        raise RecipeError([Problem(str(file), "plugins", "no such plugin file")])
    return digest(file.resolve())[1]
