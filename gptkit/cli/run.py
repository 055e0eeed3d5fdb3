"""`gptkit run`: train, evaluate, sample and save."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gptkit.cli.attention_table import chosen_attentions
from gptkit.cli.options import Overrides, PluginFiles, RecipeFile, TrustPlugins
from gptkit.cli.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console

    from gptkit.run.prepare import PreparedRun
    from gptkit.run.time_budget import Budget

LONG_RUN_SECONDS = 3600
SMALL_RECIPE = "recipes/gpt_tiny.toml"
# What the shell is told of a run whose time was up before its last step.
TIME_UP = 6


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
            help="Take as many steps as fit, such as 90s, 3m or 1h30m, evaluations and saves included; takes the "
            "place of the recipe's max_iters, and --set train.max_iters beside it is an error.",
        ),
    ] = None,
) -> None:
    """Train the model of a recipe, evaluate it, let it write, and save all of it."""
    began = time.perf_counter()
    # Imported here because it needs torch, and `gptkit --help` must not wait for that.
    from gptkit.run.time_budget import Budget, seconds_of

    budget = Budget(seconds_of(duration), began) if duration is not None else None
    from gptkit.run.prepare import prepare

    said = [*(f"--set {override}" for override in overrides or ()), *([f"--time {duration}"] if duration else [])]
    name = " ".join([str(recipe), *said])
    follow(
        name,
        lambda: prepare(
            recipe, overrides=overrides or (), plugins=plugins or (), trust_plugins=trust_plugins, out=out
        ),
        budget,
    )


def follow(name: str, prepare: Callable[[], "PreparedRun"], budget: "Budget | None" = None) -> None:
    """Prepare an experiment, run it, show what happens, and see to it that signals stop it well.

    Args:
        name: What the run is of, as it was typed.
        budget: How long it may take.
    """
    from gptkit.cli.progress import Progress
    from gptkit.cli.terminal import patient_console, warn_of_failures
    from gptkit.run.events import Stopped, TimeUp
    from gptkit.run.loop import run as events_of
    from gptkit.run.stop import Stop
    from gptkit.storage.fault_injection import reach

    console = patient_console()
    stop, ended, prepared = Stop(), None, None
    try:
        with stop:
            with stop.breakable():
                reach("setup")
                prepared = prepare()
            warn_of_failures(prepared.plugins)
            announce(console, prepared, name, budget)
            with Progress(console, prepared) as progress:
                for event in events_of(prepared, stop, budget):
                    progress.show(event)
                    ended = event if isinstance(event, Stopped | TimeUp) else None
    except KeyboardInterrupt:
        if prepared is not None and prepared.out.exists():
            console.print(f"stopped at once. What was saved by then stays: gptkit resume {prepared.out}")
        else:
            console.print("stopped before the first step: nothing was written")
        sys.exit(stop.exit_code)
    carries = " --trust-plugins" if prepared.plugins.files else ""
    if ended is not None:
        schedule, late = prepared.resolved.parts["schedule"].name, isinstance(ended, TimeUp)
        if isinstance(ended, TimeUp):
            console.print(
                f"the time is up and {ended.max_iters - ended.step:,} of {ended.max_iters:,} steps are not taken: "
                f"the machine became slower, and by then schedule '{schedule}' could not end earlier"
            )
        console.print(
            f"stopped after step {ended.step:,}, and saved. To go on: gptkit resume {prepared.out}{carries}"
        )
        sys.exit(TIME_UP if late else stop.exit_code)
    console.print(f"\nThe run is in {prepared.out}. Next:")
    console.print(f'  gptkit sample {prepared.out} --prompt "The "{carries}')
    console.print(f"  gptkit sample {prepared.out} --temperature 0 --set model.attention=naive{carries}")
    console.print(f"  gptkit run {prepared.out}/resolved.toml --set train.seed=1{carries}")


def announce(console: "Console", prepared: "PreparedRun", name: str, budget: "Budget | None" = None) -> None:
    """Print what the run is about to do, and why it is going to do it so."""
    resolved, data, sizes = prepared.resolved, prepared.data, prepared.resolved.sizes
    strangers = [plugin for plugin in prepared.plugins.loaded if plugin.origin != "built in"]
    settings = resolved.train
    count = f"{settings.max_iters:,}" if budget is None else "as many as fit"
    rows = {
        "recipe": name,
        "plugins": ", ".join(f"{plugin.title} ({plugin.origin})" for plugin in strangers) or "none",
        "corpus": f"{resolved.parts['corpus'].name}: {data.characters:,} characters; "
        f"{len(data.train):,} tokens to train on, {len(data.validation):,} to validate on; "
        f"vocabulary {prepared.tokenizer.vocab_size:,} ({resolved.parts['tokenizer'].name})",
        "model": f"{sizes['n_layer']} layers, {sizes['n_head']} heads, {sizes['n_embd']} channels, "
        f"context {sizes['block_size']}: {prepared.model.n_parameters:,} parameters",
        "device": f"{prepared.device.value}: {prepared.device.reason}",
        "dtype": f"{prepared.dtype.value}: {prepared.dtype.reason}",
        "memory": prepared.memory,
        "attention": "\n".join(chosen_attentions(prepared)),
        "steps": f"{count} of {prepared.tokens_per_step:,} tokens, "
        + (f"evaluated every {settings.eval_interval:,}" if settings.eval_interval else "evaluated at the end"),
        "directory": str(prepared.out),
        "to stop": "Ctrl+C: the step is finished and all is saved; a second time: at once",
    }
    if prepared.begun:
        rows["goes on"] = (
            f"from {prepared.checkpoint.folder.name}" if prepared.checkpoint else "from the beginning"
        )
    for title, value in rows.items():
        console.print(printable(f"{title:<10} {value}"))
    if budget is None and (seconds := prepared.least_seconds()) > LONG_RUN_SECONDS:
        console.print(
            f"\nThis will take {seconds / LONG_RUN_SECONDS:,.0f} hours or more on this device: the matrix "
            f"products alone do. {SMALL_RECIPE} is made for a machine like this and takes minutes."
        )
    console.print()
