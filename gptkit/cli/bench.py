"""`gptkit bench`: what a recipe's attentions, training step and decoding cost here, beside the baseline."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gptkit.cli.attention_table import chosen_attentions
from gptkit.cli.bench_table import show
from gptkit.cli.options import Overrides, PluginFiles, TrustPlugins
from gptkit.cli.terminal import printable

if TYPE_CHECKING:
    from gptkit.bench.clock import Rounds
    from gptkit.bench.row import Row
    from gptkit.run.prepare import PreparedRun
    from gptkit.testing.case import Case

SUBJECTS = ("attention", "train", "decode", "startup")
PICTURE = Path("bench.png")
# Of one turn of one contestant.
AT_LEAST = 0.2


def bench(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="RECIPE", help="A TOML recipe; by default the sizes of gpt_small.", show_default=False
        ),
    ] = None,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    trust_plugins: TrustPlugins = False,
    only: Annotated[
        str, typer.Option(metavar="WHAT,…", help="What to time, of attention, train, decode and startup.")
    ] = ",".join(SUBJECTS),
    repeats: Annotated[
        int, typer.Option(metavar="N", help="How many rounds; each contestant has a turn in each.")
    ] = 5,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help=f"The picture of time and memory against the context; by default {PICTURE}.",
            show_default=False,
        ),
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all that was found to this file.")
    ] = None,
) -> None:
    """Time the attentions, a training step, decoding and the start; no time is given of what is not right."""
    subjects = check(only, repeats, out, results)
    # Imported here because it needs torch, and `gptkit --help` must not wait for that.
    from gptkit.bench.clock import Rounds
    from gptkit.bench.workload import workload
    from gptkit.cli.terminal import warn_of_failures

    prepared = workload(recipe, overrides=overrides or (), plugins=plugins or (), trust_plugins=trust_plugins)
    warn_of_failures(prepared.plugins)
    name = recipe.stem if recipe else "gpt_small"
    rounds = Rounds(repeats=repeats, at_least=AT_LEAST)
    announce(prepared, name, rounds)
    rows: list[Row] = []
    is_well = True
    if "attention" in subjects:
        found, is_well = time_attentions(prepared, name, rounds, out or PICTURE)
        rows += found
    if "train" in subjects:
        from gptkit.bench.training import time_training

        rows += show(time_training(prepared, rounds, name=name))
    if "decode" in subjects:
        from gptkit.bench.decoding import batches, time_decoding

        for batch_size in batches(prepared.device.value):
            rows += show(time_decoding(prepared, batch_size, rounds, name=name))
    if "startup" in subjects:
        from gptkit.bench.startup import time_startup

        rows += show(time_startup(rounds))
    if results is not None:
        results.write_text(json.dumps([row.to_json() for row in rows], indent=2) + "\n", encoding="utf-8")
        print(f"\n{results}: all of it")
    if not is_well or any(row.reason for row in rows):
        print("\nnot all of it is right: what has no time has its reason")
        raise typer.Exit(1)


def check(only: str, repeats: int, out: Path | None, results: Path | None) -> list[str]:
    """Return what to time, or raise UsageError for what could not be done in the end."""
    from gptkit.errors import UsageError, did_you_mean

    subjects = [word.strip() for word in only.split(",")]
    for word in subjects:
        if word not in SUBJECTS:
            raise UsageError(
                f"--only {only}: '{word}' is nothing to time.{did_you_mean(word, SUBJECTS)} "
                f"Known: {', '.join(SUBJECTS)}."
            )
    if repeats < 1:
        raise UsageError(f"--repeats must be 1 or more, found {repeats}")
    if out is not None and "attention" not in subjects:
        raise UsageError(f"--out {out}: the picture is of the attentions, which --only {only} leaves out")
    picture = (out or PICTURE) if "attention" in subjects else None
    for option, file in (("--out", picture), ("--json", results)):
        if file is None:
            continue
        if file.is_dir():
            raise UsageError(f"{option} {file}: that is a directory, expected a file's name")
        if not file.parent.is_dir():
            raise UsageError(f"{option} {file}: there is no directory {file.parent}")
    return subjects


def announce(prepared: "PreparedRun", name: str, rounds: "Rounds") -> None:
    """Print what is compared with what, and where."""
    import torch

    from gptkit.bench.baseline import PLACES, baseline
    from gptkit.bench.hf_gpt2 import is_installed

    print(f"{'recipe':<10} {name}: {prepared.model.n_parameters:,} parameters; random tokens")
    print(f"{'device':<10} {prepared.device.value}: {prepared.device.reason}")
    print(f"{'dtype':<10} {prepared.dtype.value}: {prepared.dtype.reason}")
    print(printable(f"{'attention':<10} " + "\n".join(chosen_attentions(prepared))))
    print(f"{'torch':<10} {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'times':<10} the median of {rounds.repeats} rounds taken in turns (least–most)")
    if baseline() is None:
        print(f"{'baseline':<10} none, and no ratios to it: there is no {' nor '.join(map(str, PLACES))}")
    else:
        print(f"{'baseline':<10} plain_gpt.py, in fp32")
    if not is_installed():
        print(f"{'peer':<10} none: transformers is not installed (pip install 'gptkit[bench]')")


def time_attentions(
    prepared: "PreparedRun", name: str, rounds: "Rounds", picture: Path
) -> "tuple[list[Row], bool]":
    """Time the attentions at the recipe's shape and at each context, draw that; return whether all are right."""
    from gptkit.bench.attention import time_attend, time_whole, to_time_whole, with_attend
    from gptkit.bench.attention_passes import PASSES
    from gptkit.bench.contexts import contexts, curves
    from gptkit.bench.figure import context_curves
    from gptkit.tuning.matmul_rate import matmul_peak

    registry, case = prepared.plugins.registry, case_of(prepared)
    peak = matmul_peak(case.device, case.dtype) / 1e9
    print(f"{'peak':<10} {peak:,.1f} GFLOP/s: the best of this machine's own matrix products, in {case.dtype}")
    rows: list[Row] = []
    for which in PASSES:
        rows += show(time_attend(with_attend(registry), case, which, rounds))
        if whole := to_time_whole(registry):
            rows += show(time_whole(whole, case, which, rounds))
    found = curves(with_attend(registry), contexts(case.device), case, rounds)
    points = [row for at in found.points.values() for row in at.values()]
    for group in dict.fromkeys(row.group for row in points):
        show([row for row in points if row.group == group])
    print()
    for attention, why in found.stopped.items():
        print(f"{attention}: {why}")
    title = f"attend, {case.device} {str(case.dtype).removeprefix('torch.')}, {case.H} heads of {case.D} ({name})"
    context_curves(found.points, title).savefig(picture, format="png")
    print(f"{picture}: time and memory against the context")
    return [*rows, *points], not found.wrong


def case_of(prepared: "PreparedRun") -> "Case":
    """Return what the attentions of a recipe's model are given in training."""
    from gptkit.testing.case import Case
    from gptkit.training.precision import DTYPES

    dims = prepared.model.dims
    return Case(
        B=prepared.resolved.train.batch_size,
        H=dims.n_head,
        T=dims.block_size,
        D=dims.head_width,
        dtype=DTYPES[prepared.dtype.value],
        device=prepared.device.value,
    )
