"""`gptkit resume`: continues a run where it stopped, to the same bits."""

from typing import TYPE_CHECKING, Annotated

import typer

from gptkit.cli.options import Overrides, PluginFiles, RunDirectory, TrustPlugins
from gptkit.cli.run import follow

if TYPE_CHECKING:
    from gptkit.run.prepare import PreparedRun


def resume(
    run: RunDirectory,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    trust_plugins: TrustPlugins = False,
    checkpoint: Annotated[
        str, typer.Option(help="Checkpoint to resume from: last, best, or a name such as step-000100.")
    ] = "last",
) -> None:
    """Continue a run to the same bits as if it had never stopped.

    --set may change train.max_iters, if the schedule allows it, the intervals, keep, device, and the path of the
    same text.
    """
    changes = overrides or ()

    def prepared() -> "PreparedRun":
        from gptkit.run.resume import prepare_resume

        return prepare_resume(
            run, overrides=changes, plugins=plugins or (), trust_plugins=trust_plugins, checkpoint=checkpoint
        )

    follow(" ".join([f"{run}/resolved.toml", *(f"--set {change}" for change in changes)]), prepared)
