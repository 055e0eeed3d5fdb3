"""The command line, one file for each verb: the only package that prints or holds sentences for people.

May import every package. `gptkit --help` must not wait for torch, so verbs import what needs it inside functions.
"""

import atexit
import gc
import sys

import typer

from gptkit.cli import bench, check, components, new, plugins, recipe, resume, run, sample, terminal, verify
from gptkit.cli.options import Version
from gptkit.errors import GptkitError
from gptkit.tuning.threads import set_threads

app = typer.Typer(
    name="gptkit",
    help="Assemble a GPT from the parts that a recipe names; train it, evaluate it, sample from it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def root(version: Version = None) -> None:
    """Print the version, or go on to a verb."""


app.command()(run.run)
app.command()(resume.resume)
app.command()(verify.verify)
app.command()(sample.sample)
app.command()(new.new)
app.command()(check.check)
app.command()(bench.bench)
app.command()(plugins.plugins)
app.add_typer(components.app, name="components")
app.add_typer(recipe.app, name="recipe")


def main() -> None:
    """Run the command line. A GptkitError prints its message and sets the exit code; a traceback is our bug."""
    # Without this, the final garbage collection goes through all of torch, which takes seconds.
    atexit.register(gc.freeze)
    try:
        set_threads()
        app()
    except GptkitError as error:
        terminal.print_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of the output has gone, as `head` does when it has enough.
        terminal.close_quietly()
    except KeyboardInterrupt:
        sys.exit(130)
