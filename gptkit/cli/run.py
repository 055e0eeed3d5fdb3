"""`gptkit run`: train, evaluate, sample and save."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gptkit.cli.options import Overrides, PluginFiles, RecipeFile, TrustPlugins
from gptkit.cli.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console

    from gptkit.experiment import Experiment

LONG_RUN_SECONDS = 3600
SMALL_RECIPE = "recipes/gpt_tiny.toml"


def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    trust_plugins: TrustPlugins = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run directory; by default a new one in runs/.")
    ] = None,
) -> None:
    """Train the model of a recipe, evaluate it, let it write, and save all of it."""
    # Imported here because it needs torch, and `gptkit --help` must not wait for that.
    from gptkit.experiment import prepare

    name = " ".join([str(recipe), *(f"--set {override}" for override in overrides or ())])
    follow(
        name,
        lambda: prepare(
            recipe, overrides=overrides or (), plugins=plugins or (), trust_plugins=trust_plugins, out=out
        ),
    )


def follow(name: str, prepare: Callable[[], "Experiment"]) -> None:
    """Prepare an experiment, run it, show what happens, and see to it that signals stop it well.

    Args:
        name: What the run is of, as it was typed.
    """
    from gptkit.cli.progress import Progress
    from gptkit.cli.terminal import patient_console
    from gptkit.cli.warnings import warn_of_failures
    from gptkit.events import Stopped
    from gptkit.faults import reach
    from gptkit.run import run as events_of
    from gptkit.stop import Stop

    console = patient_console()
    stop, stopped, experiment = Stop(), None, None
    try:
        with stop:
            with stop.breakable():
                reach("setup")
                experiment = prepare()
            warn_of_failures(experiment.plugins)
            announce(console, experiment, name)
            with Progress(console, experiment) as progress:
                for event in events_of(experiment, stop):
                    progress.show(event)
                    stopped = event.step if isinstance(event, Stopped) else None
    except KeyboardInterrupt:
        if experiment is not None and experiment.out.exists():
            console.print(f"stopped at once. What was saved by then stays: gptkit resume {experiment.out}")
        else:
            console.print("stopped before the first step: nothing was written")
        sys.exit(stop.exit_code)
    if stopped is not None:
        carries = " --trust-plugins" if experiment.plugins.files else ""
        console.print(
            f"stopped after step {stopped:,}, and saved. To go on: gptkit resume {experiment.out}{carries}"
        )
        sys.exit(stop.exit_code)
    carries = " --trust-plugins" if experiment.plugins.files else ""
    console.print(f"\nThe run is in {experiment.out}. Next:")
    console.print(f'  gptkit sample {experiment.out} --prompt "The "{carries}')
    console.print(f"  gptkit sample {experiment.out} --temperature 0 --set model.attention=naive{carries}")
    console.print(f"  gptkit run {experiment.out}/resolved.toml --set train.seed=1{carries}")


def announce(console: "Console", experiment: "Experiment", name: str) -> None:
    """Print what the run is about to do, and why it is going to do it so."""
    resolved, data, sizes = experiment.resolved, experiment.data, experiment.resolved.sizes
    attentions = {layer["attention"].name: layer["attention"] for layer in resolved.layers}
    strangers = [plugin for plugin in experiment.plugins.loaded if plugin.origin != "built in"]
    settings = resolved.train
    rows = {
        "recipe": name,
        "plugins": ", ".join(f"{plugin.title} ({plugin.origin})" for plugin in strangers) or "none",
        "corpus": f"{resolved.parts['corpus'].name}: {data.characters:,} characters; "
        f"{len(data.train):,} tokens to train on, {len(data.validation):,} to validate on; "
        f"vocabulary {experiment.tokenizer.vocab_size:,} ({resolved.parts['tokenizer'].name})",
        "model": f"{sizes['n_layer']} layers, {sizes['n_head']} heads, {sizes['n_embd']} channels, "
        f"context {sizes['block_size']}: {experiment.model.n_parameters:,} parameters",
        "device": f"{experiment.device.value}: {experiment.device.reason}",
        "dtype": f"{experiment.dtype.value}: {experiment.dtype.reason}",
        "memory": experiment.memory,
        "attention": "; ".join(
            f"{name}: {'the default' if choice.place == 'default' else f'chosen in {choice.place}'}"
            for name, choice in attentions.items()
        ),
        "steps": f"{settings.max_iters:,} of {experiment.tokens_per_step:,} tokens, "
        + (f"evaluated every {settings.eval_interval:,}" if settings.eval_interval else "evaluated at the end"),
        "directory": str(experiment.out),
        "to stop": "Ctrl+C: the step is finished and all is saved; a second time: at once",
    }
    if experiment.begun:
        rows["goes on"] = (
            f"from {experiment.checkpoint.folder.name}" if experiment.checkpoint else "from the beginning"
        )
    for title, value in rows.items():
        console.print(printable(f"{title:<10} {value}"))
    if (seconds := experiment.least_seconds()) > LONG_RUN_SECONDS:
        console.print(
            f"\nThis will take {seconds / LONG_RUN_SECONDS:,.0f} hours or more on this device: the matrix "
            f"products alone do. {SMALL_RECIPE} is made for a machine like this and takes minutes."
        )
    console.print()
