"""`gptkit run`: train, evaluate, sample and save."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gptkit.cli.options import Overrides, PluginFiles, RecipeFile

if TYPE_CHECKING:
    from rich.console import Console

    from gptkit.experiment import Experiment

LONG_RUN_SECONDS = 3600
SMALL_RECIPE = "recipes/gpt_tiny.toml"


def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run directory; by default a new one in runs/.")
    ] = None,
) -> None:
    """Train the model of a recipe, evaluate it, let it write, and save all of it."""
    # Imported here because it needs torch, and `gptkit --help` must not wait for that.
    from rich.console import Console

    from gptkit.cli.progress import Progress
    from gptkit.cli.warnings import warn_of_failures
    from gptkit.experiment import prepare
    from gptkit.run import run as events_of

    experiment = prepare(recipe, overrides=overrides or (), plugins=plugins or (), out=out)
    warn_of_failures(experiment.plugins)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    announce(console, experiment, recipe, overrides or [])
    try:
        with Progress(console, experiment) as progress:
            for event in events_of(experiment):
                progress.show(event)
    except KeyboardInterrupt:
        console.print(f"stopped: the last checkpoint saved, if there is one, is in {experiment.out}")
        sys.exit(130)
    console.print(f"\nThe run is in {experiment.out}. Next:")
    console.print(f'  gptkit sample {experiment.out} --prompt "The "')
    console.print(f"  gptkit sample {experiment.out} --temperature 0 --set model.attention=naive")
    console.print(f"  gptkit run {experiment.out}/resolved.toml --set train.seed=1")


def announce(console: "Console", experiment: "Experiment", recipe: Path, overrides: list[str]) -> None:
    """Print what the run is about to do, and why it is going to do it so."""
    resolved, data, sizes = experiment.resolved, experiment.data, experiment.resolved.sizes
    attentions = {layer["attention"].name: layer["attention"] for layer in resolved.layers}
    strangers = [plugin for plugin in experiment.plugins.loaded if plugin.origin != "built in"]
    settings = resolved.train
    rows = {
        "recipe": " ".join([str(recipe), *(f"--set {override}" for override in overrides)]),
        "plugins": ", ".join(f"{plugin.title} ({plugin.origin})" for plugin in strangers) or "none",
        "corpus": f"{resolved.parts['corpus'].name}: {data.characters:,} characters; "
        f"{len(data.train):,} tokens to train on, {len(data.validation):,} to validate on; "
        f"vocabulary {experiment.tokenizer.vocab_size:,} ({resolved.parts['tokenizer'].name})",
        "model": f"{sizes['n_layer']} layers, {sizes['n_head']} heads, {sizes['n_embd']} channels, "
        f"context {sizes['block_size']}: {experiment.model.n_parameters:,} parameters",
        "device": f"{experiment.device.value}: {experiment.device.reason}",
        "dtype": f"{experiment.dtype.value}: {experiment.dtype.reason}",
        "attention": "; ".join(
            f"{name}: {'the default' if choice.place == 'default' else f'chosen in {choice.place}'}"
            for name, choice in attentions.items()
        ),
        "steps": f"{settings.max_iters:,} of {experiment.tokens_per_step:,} tokens, "
        + (f"evaluated every {settings.eval_interval:,}" if settings.eval_interval else "evaluated at the end"),
        "directory": str(experiment.out),
        "to stop": "Ctrl+C: what was saved by then stays",
    }
    for name, value in rows.items():
        console.print(f"{name:<10} {value}")
    if (seconds := experiment.least_seconds()) > LONG_RUN_SECONDS:
        console.print(
            f"\nThis will take {seconds / LONG_RUN_SECONDS:,.0f} hours or more on this device: the matrix "
            f"products alone do. {SMALL_RECIPE} is made for a machine like this and takes minutes."
        )
    console.print()
