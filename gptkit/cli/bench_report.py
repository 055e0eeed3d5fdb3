"""What `gptkit bench` times, as tables for people to read: each group is printed as soon as it is known."""

from collections.abc import Collection
from pathlib import Path

import torch

from gptkit.bench import baseline, hf_gpt2
from gptkit.bench.attention import attentions_timed_whole, softmax_attentions, time_attend, time_whole
from gptkit.bench.attention_passes import PASSES
from gptkit.bench.clock import Rounds
from gptkit.bench.contexts import EarlyEnd, TooLarge, TooSlow, context_curves, contexts
from gptkit.bench.decoding import batches, time_decoding
from gptkit.bench.figure import plot_curves
from gptkit.bench.result import BenchResult
from gptkit.bench.startup import time_startup
from gptkit.bench.table import group_lines
from gptkit.bench.training import time_training
from gptkit.bench.workload import training_case
from gptkit.cli.run_summary import chosen_attentions
from gptkit.cli.terminal import printable
from gptkit.run.prepare import PreparedRun
from gptkit.tuning.matmul_rate import matmul_peak


def announce(prepared: PreparedRun, name: str, rounds: Rounds) -> None:
    """Print what is compared, and on which machine."""
    print(f"{'recipe':<10} {name}: {prepared.model.n_parameters:,} parameters; random tokens")
    print(f"{'device':<10} {prepared.device.value}: {prepared.device.reason}")
    print(f"{'dtype':<10} {prepared.dtype.value}: {prepared.dtype.reason}")
    print(printable(f"{'attention':<10} " + "\n".join(chosen_attentions(prepared))))
    print(f"{'torch':<10} {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'times':<10} median (least–most) of {rounds.repeats} interleaved rounds")
    if baseline.baseline() is None:
        print(f"{'baseline':<10} none, so no ratios: there is no {' or '.join(map(str, baseline.FILES))}")
    else:
        print(f"{'baseline':<10} plain_gpt.py, in fp32")
    if not hf_gpt2.is_installed():
        print(f"{'GPT-2':<10} none: transformers is not installed (pip install 'gptkit[bench]')")


def time_subjects(
    subjects: Collection[str], prepared: PreparedRun, name: str, rounds: Rounds, plot: Path
) -> tuple[list[BenchResult], bool]:
    """Time what was asked for; return the results, and whether everything that was tried is correct."""
    results: list[BenchResult] = []
    are_correct = True
    if "attention" in subjects:
        results, are_correct = time_attentions(prepared, name, rounds, plot)
    if "train" in subjects:
        results += print_group(time_training(prepared, rounds, name=name))
    if "decode" in subjects:
        for batch_size in batches(prepared.device.value):
            results += print_group(time_decoding(prepared, batch_size, rounds, name=name))
    if "startup" in subjects:
        results += print_group(time_startup(rounds))
    return results, are_correct and not any(result.reason for result in results)


def time_attentions(
    prepared: PreparedRun, name: str, rounds: Rounds, plot: Path
) -> tuple[list[BenchResult], bool]:
    """Time the attentions at the recipe's shape and against context length; return whether all are correct."""
    registry, case = prepared.plugins.registry, training_case(prepared)
    peak = matmul_peak(case.device, case.dtype) / 1e9
    print(f"{'peak':<10} {peak:,.1f} GFLOP/s: the fastest matrix product on this machine, in {case.dtype}")
    results: list[BenchResult] = []
    for which in PASSES:
        results += print_group(time_attend(softmax_attentions(registry), case, which, rounds))
        if whole := attentions_timed_whole(registry):
            results += print_group(time_whole(whole, case, which, rounds))
    curves = context_curves(softmax_attentions(registry), contexts(case.device), case, rounds)
    points = [result for at in curves.points.values() for result in at.values()]
    for group in dict.fromkeys(result.group for result in points):
        print_group([result for result in points if result.group == group])
    print()
    for attention, end in curves.ended.items():
        print(f"{attention}: {format_early_end(end)}")
    dtype = str(case.dtype).removeprefix("torch.")
    title = f"attend, {case.device} {dtype}, {case.H} heads of {case.D} ({name})"
    plot_curves(curves.points, title).savefig(plot, format="png")
    print(f"{plot}: time and memory against context length")
    return [*results, *points], curves.are_correct


def print_group(results: list[BenchResult]) -> list[BenchResult]:
    """Print the times of each result of one group, or the reason why it has none; return the results."""
    print("\n".join(["", *group_lines(results)]), flush=True)
    return results


def format_early_end(end: EarlyEnd) -> str:
    """Return why an attention was not timed at every context length."""
    match end:
        case TooSlow(context, seconds, limit):
            why = f"a pass could take {seconds:.3g} s, and {limit:g} s is the limit"
        case TooLarge(context, needed, free):
            why = f"a pass could need {needed / 2**30:.3g} GB, and {free / 2**30:.3g} GB are free"
        case _:
            return f"stopped at a context of {end.context:,}: {end.reason}"
    return f"stopped before a context of {context:,}: {why}"
