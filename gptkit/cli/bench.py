"""`gptkit bench`: times a recipe's attentions, training step, decoding and start-up, beside the baseline."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gptkit.cli.options import Overrides, PluginFiles, TrustPlugins
from gptkit.cli.terminal import warn_of_failures
from gptkit.errors import UsageError, did_you_mean
from gptkit.recipe.shipped import find_recipe

SUBJECTS = ("attention", "train", "decode", "startup")
PLOT = Path("bench.png")
# Seconds of one timing.
AT_LEAST = 0.2


def bench(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="RECIPE",
            parser=find_recipe,
            help="A TOML recipe or the name of one; by default the sizes of gpt_small.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    trust_plugins: TrustPlugins = False,
    only: Annotated[
        str, typer.Option(metavar="WHAT,…", help="What to time: attention, train, decode, startup.")
    ] = ",".join(SUBJECTS),
    repeats: Annotated[int, typer.Option(metavar="N", help="Number of rounds; each times everything once.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help=f"Plot of time and memory against context length; by default {PLOT}.",
            show_default=False,
        ),
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all results to this file, as JSON.")
    ] = None,
) -> None:
    """Time attentions, a training step, decoding and start-up.

    Anything incorrect gets a reason instead of a time, and exit code 1.
    """
    subjects = check_options(only, repeats, out, results)
    from gptkit.bench.clock import Rounds
    from gptkit.bench.workload import prepare_workload
    from gptkit.cli.bench_report import announce, time_subjects

    prepared = prepare_workload(
        recipe, overrides=overrides or (), plugins=plugins or (), trust_plugins=trust_plugins
    )
    warn_of_failures(prepared.plugins)
    name, rounds = recipe.stem if recipe else "gpt_small", Rounds(repeats=repeats, at_least=AT_LEAST)
    announce(prepared, name, rounds)
    found, are_correct = time_subjects(subjects, prepared, name, rounds, out or PLOT)
    if results is not None:
        results.write_text(json.dumps([each.to_json() for each in found], indent=2) + "\n", encoding="utf-8")
        print(f"\n{results}: all results")
    if not are_correct:
        print("\nnot everything is correct: what has no time has a reason")
        raise typer.Exit(1)


def check_options(only: str, repeats: int, out: Path | None, results: Path | None) -> list[str]:
    """Check the options before anything is timed; return the subjects.

    Raises:
        UsageError: If an option is wrong, or a file could not be written in the end.
    """
    subjects = [word.strip() for word in only.split(",")]
    for word in subjects:
        if word not in SUBJECTS:
            raise UsageError(
                f"--only {only}: '{word}' cannot be timed.{did_you_mean(word, SUBJECTS)} "
                f"Known: {', '.join(SUBJECTS)}."
            )
    if repeats < 1:
        raise UsageError(f"--repeats must be 1 or more, found {repeats}")
    if out is not None and "attention" not in subjects:
        raise UsageError(f"--out {out}: the plot shows the attentions, which --only {only} leaves out")
    for option, file in (("--out", (out or PLOT) if "attention" in subjects else None), ("--json", results)):
        if file is not None and file.is_dir():
            raise UsageError(f"{option} {file}: that is a directory, expected a file's name")
        if file is not None and not file.parent.is_dir():
            raise UsageError(f"{option} {file}: there is no directory {file.parent}")
    return subjects
