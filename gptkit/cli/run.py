"""`gptkit run`: train, evaluate, sample and save."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gptkit.cli.options import Overrides, PluginFiles, RecipeFile, TrustPlugins
from gptkit.cli.terminal import TolerantOutput, warn_of_failures

if TYPE_CHECKING:
    from rich.console import Console

    from gptkit.run.events import Event
    from gptkit.run.prepare import PreparedRun
    from gptkit.run.time_budget import Budget

# Exit code of a run whose time was up before its last step.
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
    changes = overrides or ()

    def prepared() -> "PreparedRun":
        from gptkit.run.prepare import prepare

        return prepare(recipe, overrides=changes, plugins=plugins or (), trust_plugins=trust_plugins, out=out)

    options = [*(f"--set {change}" for change in changes), *([f"--time {duration}"] if duration else [])]
    follow(" ".join([str(recipe), *options]), prepared, budget)


def follow(name: str, prepare: "Callable[[], PreparedRun]", budget: "Budget | None" = None) -> None:
    """Prepare a run, run it and show what happens; exit with the code of a signal or of a budget that ran out.

    Args:
        name: The recipe and the options, as typed.
    """
    from rich.console import Console

    from gptkit.tuning.threads import Neighbours

    neighbours = Neighbours()
    # A run continues after its terminal is closed.
    console = Console(file=TolerantOutput(), highlight=False, markup=False, emoji=False, soft_wrap=True)  # type: ignore[arg-type]
    # Shown on a terminal alone, so that something is seen while PyTorch is imported, which takes seconds.
    with console.status("loading PyTorch"):
        from gptkit.cli.progress import Progress
        from gptkit.cli.run_summary import announce
        from gptkit.run import loop
        from gptkit.run.events import Stopped, TimeUp
        from gptkit.run.stop import Stop
        from gptkit.storage.fault_injection import reach

    stop, prepared, event = Stop(), None, None
    try:
        with stop:
            with stop.breakable(), console.status("preparing the run"):
                reach("setup")
                prepared = prepare()
            warn_of_failures(prepared.plugins)
            announce(console, prepared, name, budget, neighbours.busy_cpus())
            progress = Progress(console, prepared)
            with progress.bar:
                for event in loop.run(prepared, stop, budget):
                    progress.show(event)
    except KeyboardInterrupt:
        if prepared is not None and prepared.out.exists():
            console.print(f"stopped at once. To resume from the last save: gptkit resume {prepared.out}")
        else:
            console.print("stopped before the first step: nothing was written")
        sys.exit(stop.exit_code)
    print_next_commands(console, prepared, event)
    if isinstance(event, Stopped | TimeUp):
        sys.exit(TIME_UP if isinstance(event, TimeUp) else stop.exit_code)


def print_next_commands(console: "Console", prepared: "PreparedRun", last: "Event | None") -> None:
    """Print commands that use the finished run; or why it ended before its last step, and how to resume it."""
    from gptkit.run.events import Stopped, TimeUp

    out, trust = prepared.out, " --trust-plugins" if prepared.plugins.files else ""
    if isinstance(last, TimeUp):
        console.print(
            f"the time is up, with {last.max_iters - last.step:,} of {last.max_iters:,} steps not taken: "
            "the machine stood still for longer than the rest of the run"
        )
    if isinstance(last, Stopped | TimeUp):
        console.print(f"stopped after step {last.step:,} and saved. To resume: gptkit resume {out}{trust}")
        return
    console.print(f"\nThe run is in {out}. Next:")
    console.print(f'  gptkit sample {out} --prompt "The "{trust}')
    console.print(f"  gptkit sample {out} --temperature 0 --set model.attention=naive{trust}")
    console.print(f"  gptkit run {out}/resolved.toml --set train.seed=1{trust}")
