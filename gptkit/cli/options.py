"""The arguments that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

from gptkit.errors import UsageError, did_you_mean
from gptkit.recipe.shipped import find_recipe
from gptkit.version import __version__


def print_version(asked: bool | None) -> None:
    """Print the version and end the command."""
    if asked:
        print(f"gptkit {__version__}")
        raise typer.Exit


Version = Annotated[
    bool | None,
    typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit."),
]
RecipeFile = Annotated[
    Path,
    typer.Argument(
        metavar="RECIPE",
        parser=find_recipe,
        help="A TOML recipe, or the name of one that comes with gptkit.",
        show_default=False,
    ),
]
RunDirectory = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe: model.attention=naive."),
]
PluginFiles = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="A plugin file, besides those that the recipe names."),
]
TrustPlugins = Annotated[
    bool, typer.Option("--trust-plugins", help="Run the plugin files that a run directory carries.")
]
Kind = Annotated[str, typer.Argument(help="A kind of part, such as attention.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check_kind(kind: str) -> None:
    """Raise UsageError unless there is such a kind of part."""
    from gptkit.interfaces import KINDS

    if kind not in KINDS:
        raise UsageError(
            f"no kind of part is called '{kind}'.{did_you_mean(kind, KINDS)} Known: {', '.join(KINDS)}."
        )
