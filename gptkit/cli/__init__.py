"""The command line: one file for each verb. Nothing else in gptkit prints."""

import atexit
import gc
import sys

import typer

from gptkit.cli import bench, check, components, new, plugins, recipe, resume, run, sample, terminal, verify
from gptkit.errors import GptkitError

app = typer.Typer(
    name="gptkit",
    help="Assemble a GPT from parts that a recipe names; train it, evaluate it and let it write.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("resume")(resume.resume)
app.command("verify")(verify.verify)
app.command("sample")(sample.sample)
app.command("new")(new.new)
app.command("check")(check.check)
app.command("bench")(bench.bench)
app.add_typer(components.app, name="components")
app.command("plugins")(plugins.plugins)
app.add_typer(recipe.app, name="recipe")


def main() -> None:
    """Run the command line. An error of somebody else's is its message and its exit code; ours is a traceback."""
    # Else the interpreter looks through all that torch is made of for garbage before it ends, for seconds.
    atexit.register(gc.freeze)
    try:
        app()
    except GptkitError as error:
        terminal.complain(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does when it has enough.
        terminal.close_quietly()
    except KeyboardInterrupt:
        sys.exit(130)
