"""Times start-up: the help, the import, and a run up to its first step."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gptkit.bench.clock import Rounds, TimedCall, time_interleaved
from gptkit.bench.result import BenchResult, results_of
from gptkit.bench.workload import GPT_SMALL

GROUP = "start-up"
HELP, IMPORT, TORCH, FIRST_STEP = "gptkit --help", "import gptkit", "import torch", "gptkit run, to the first step"
# The start of a step's line when the output is not a terminal.
STEP = "step "
# The sizes and the attention of recipes/gpt_tiny.toml, and one step.
TINY = {
    "model.n_layer": "4",
    "model.n_head": "4",
    "model.n_embd": "128",
    "model.block_size": "64",
    "model.dropout": "0.0",
    "model.attention": "sdpa",
    "train.batch_size": "12",
    "train.max_iters": "1",
}


def time_startup(rounds: Rounds) -> list[BenchResult]:
    """Return a result for each way to start, every one in a new process.

    PyTorch's import is timed beside them, because no run can do without it.

    Raises:
        subprocess.CalledProcessError: If one of them fails.
    """
    with TemporaryDirectory() as directory:
        here = Path(directory)
        (here / "tiny.toml").write_text(GPT_SMALL, encoding="utf-8")
        settings = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
        run = ("-m", "gptkit", "run", "tiny.toml", *settings, "--out")
        calls = [
            TimedCall(HELP, lambda: run_python(("-m", "gptkit", "--help"), here)),
            TimedCall(IMPORT, lambda: run_python(("-c", "import gptkit"), here)),
            TimedCall(TORCH, lambda: run_python(("-c", "import torch"), here)),
            TimedCall(FIRST_STEP, lambda: run_until_first_step((*run, unused_name(here)), here)),
        ]
        timings = time_interleaved(calls, Rounds(repeats=rounds.repeats, at_least=0.0), torch.device("cpu"))
    return results_of(GROUP, timings, None, {})


def run_python(arguments: Sequence[str], directory: Path) -> None:
    """Run Python until it ends."""
    subprocess.run(
        [sys.executable, *arguments], cwd=directory, env=environment(), capture_output=True, check=True, text=True
    )


def run_until_first_step(arguments: Sequence[str], directory: Path) -> None:
    """Run Python until it prints its first step, then kill it."""
    command = [sys.executable, *arguments]
    output: list[str] = []
    with subprocess.Popen(
        command, cwd=directory, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None, "it is a pipe"
        for line in process.stdout:
            output.append(line)
            if line.startswith(STEP):
                process.kill()
                return
    raise subprocess.CalledProcessError(process.returncode, command, "".join(output))


def unused_name(directory: Path) -> str:
    """Return a name for a run directory that does not exist."""
    return f"run-{len(list(directory.iterdir()))}"


def environment() -> dict[str, str]:
    """Return this process's environment, changed so that Python imports this gptkit and no other."""
    here = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))}
