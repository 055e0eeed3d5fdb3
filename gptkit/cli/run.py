"""`gptkit run`: train, evaluate, sample and save."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gptkit.cli.options import Overrides, PluginFiles, RecipeFile, TrustPlugins


def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    trust_plugins: TrustPlugins = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run directory; by default a new one in runs/.")
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(
            "--time",
            metavar="DURATION",
            help="Take as many steps as fit into this time, such as 90s, 3m or 1h30m, with evaluations and saves. "
            "Replaces the recipe's max_iters; not allowed together with --set train.max_iters.",
        ),
    ] = None,
) -> None:
    """Train the model of a recipe; evaluate, sample and save it."""
    began = time.perf_counter()
    # Needs no torch, so a wrong duration is refused at once.
    from gptkit.run.time_budget import Budget, parse_duration

    budget = Budget(parse_duration(duration), began) if duration is not None else None
    from gptkit.cli.progress import follow
    from gptkit.run.prepare import prepare

    changes = overrides or ()
    options = [*(f"--set {change}" for change in changes), *([f"--time {duration}"] if duration else [])]
    follow(
        " ".join([str(recipe), *options]),
        lambda: prepare(recipe, overrides=changes, plugins=plugins or (), trust_plugins=trust_plugins, out=out),
        budget,
    )
