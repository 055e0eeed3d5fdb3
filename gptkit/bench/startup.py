"""How long it takes to begin: the help, the import, and a run up to its first step."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import gptkit
from gptkit.bench.clock import Contestant, Rounds, interleaved
from gptkit.bench.row import Row, rows_of
from gptkit.bench.workload import GPT_SMALL

GROUP = "start-up"
HELP, IMPORT, TORCH, FIRST_STEP = "gptkit --help", "import gptkit", "import torch", "gptkit run, to the first step"
# What the line of a step begins with where no terminal is.
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


def time_startup(rounds: Rounds) -> list[Row]:
    """Return a row for each way to begin, every one in a process of its own.

    Beside them stands PyTorch's import, which no run can do without.

    Raises:
        subprocess.CalledProcessError: If one of them fails.
    """
    with TemporaryDirectory() as directory:
        here = Path(directory)
        (here / "tiny.toml").write_text(GPT_SMALL, encoding="utf-8")
        settings = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
        run = ("-m", "gptkit", "run", "tiny.toml", *settings, "--out")
        contestants = [
            Contestant(HELP, lambda: finish(("-m", "gptkit", "--help"), here)),
            Contestant(IMPORT, lambda: finish(("-c", "import gptkit"), here)),
            Contestant(TORCH, lambda: finish(("-c", "import torch"), here)),
            Contestant(FIRST_STEP, lambda: until_step((*run, new_name(here)), here)),
        ]
        seconds = interleaved(contestants, Rounds(repeats=rounds.repeats, at_least=0.0), torch.device("cpu"))
    return rows_of(GROUP, seconds, None, {})


def finish(arguments: Sequence[str], directory: Path) -> None:
    """Run Python to its end."""
    subprocess.run(
        [sys.executable, *arguments], cwd=directory, env=environment(), capture_output=True, check=True, text=True
    )


def until_step(arguments: Sequence[str], directory: Path) -> None:
    """Run Python until it tells of its first step, and no longer."""
    command = [sys.executable, *arguments]
    told: list[str] = []
    with subprocess.Popen(
        command, cwd=directory, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None, "it is a pipe"
        for line in process.stdout:
            told.append(line)
            if line.startswith(STEP):
                process.kill()
                return
    raise subprocess.CalledProcessError(process.returncode, command, "".join(told))


def new_name(directory: Path) -> str:
    """Return the name of a run directory that is not there yet."""
    return f"run-{len(list(directory.iterdir()))}"


def environment() -> dict[str, str]:
    """Return this process's environment, in which this very gptkit is found first."""
    here = str(Path(gptkit.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))}
