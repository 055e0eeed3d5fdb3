"""Runs a recipe and profiles ten steps: `python benchmarks/profile_training.py RECIPE DIRECTORY [KEY=VALUE]`.

DIRECTORY then holds the run directory, run; kernels.txt, with a line for each kernel; and trace.json, for
chrome://tracing or ui.perfetto.dev.
"""

import sys
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

import gptkit
from gptkit.training.train import Step

# The first steps compile, measure and allocate.
SKIPPED, WARMUP, PROFILED = 50, 5, 10


def profile_training(recipe: str, directory: Path, overrides: list[str]) -> None:
    """Run a recipe to its end and write the profile of ten steps into a directory."""
    on_cuda = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    times = schedule(skip_first=SKIPPED, wait=0, warmup=WARMUP, active=PROFILED, repeat=1)

    def write(profiler: profile) -> None:
        profiler.export_chrome_trace(str(directory / "trace.json"))
        table = profiler.key_averages().table(
            sort_by="self_device_time_total" if on_cuda else "self_cpu_time_total", row_limit=60
        )
        (directory / "kernels.txt").write_text(table)

    with profile(activities=activities, schedule=times, on_trace_ready=write) as profiler:
        for event in gptkit.train(recipe, overrides=overrides, out=directory / "run"):
            if isinstance(event, Step):
                profiler.step()
            else:
                print(event, flush=True)  # noqa: T201


if __name__ == "__main__":
    profile_training(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
