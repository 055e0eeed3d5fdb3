"""The arguments that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML recipe.", show_default=False)]
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
    # Imported here because it needs torch, and `gptkit --help` must not wait for that.
    from gptkit.errors import UsageError, did_you_mean
    from gptkit.interfaces import KINDS

    if kind not in KINDS:
        raise UsageError(
            f"no kind of part is called '{kind}'.{did_you_mean(kind, KINDS)} Known: {', '.join(KINDS)}."
        )
