"""`gptkit resume`: go on with a run where it stopped, as if it had not."""

from typing import Annotated

import typer

from gptkit.cli.options import Overrides, PluginFiles, RunDirectory, TrustPlugins
from gptkit.cli.run import follow


def resume(
    run: RunDirectory,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    trust_plugins: TrustPlugins = False,
    checkpoint: Annotated[
        str, typer.Option(help="What to go on from: last, best, or a name such as step-000100.")
    ] = "last",
) -> None:
    """Go on with a run from its last checkpoint, to the same bits as if it had never stopped.

    What may change: train.max_iters where the schedule allows it, intervals, keep and device, and where the same
    text is found.
    """
    from gptkit.run.resume import prepare_resume

    follow(
        " ".join([f"{run}/resolved.toml", *(f"--set {override}" for override in overrides or ())]),
        lambda: prepare_resume(
            run,
            overrides=overrides or (),
            plugins=plugins or (),
            trust_plugins=trust_plugins,
            checkpoint=checkpoint,
        ),
    )
