"""`benchmarks/on_a_gpu.sh`, as far as it can be tried without a GPU, and the profile that it makes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.small import RECIPE, write_recipe

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
PARTS = ["packages", "facts", "tests", "contracts", "training", "compiled", "attention", "decoding"]


def test_its_parts_end_within_eight_minutes() -> None:
    script = (BENCHMARKS / "on_a_gpu.sh").read_text()
    limits = re.findall(r"(?m)^part \w+ (\d+) ", script)
    (grace,) = re.findall(r"--kill-after=(\d+) ", script)
    assert len(limits) == len(PARTS)
    assert sum(int(limit) + int(grace) for limit in limits) <= 8 * 60


# In the place of Python: notes what it is asked for, and fails once.
STAND_IN = """#!/bin/sh
echo "$PWD $PYTHONPATH: $*" >> "$(dirname "$0")/calls"
case "$*" in
  *"components list attention"*) echo '    "name": "naive"' ;;
  *"-m cuda"*) exit 3 ;;
esac
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs GNU's timeout and grep")
def test_each_part_runs_whatever_became_of_the_others_and_a_summary_tells(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(STAND_IN)
    python.chmod(0o755)
    path = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "DEVICE": "cpu", "PYTHONPATH": "before"}
    command = ["bash", str(BENCHMARKS / "on_a_gpu.sh"), "results"]
    # Results go where the caller is; what is run is this checkout, although it is not installed.
    done = subprocess.run(
        command, env=os.environ | path, cwd=tmp_path, check=False, capture_output=True, text=True
    )
    summary = (tmp_path / "results" / "summary.txt").read_text()
    assert (done.returncode, done.stdout) == (1, summary)
    assert re.findall(r"(?m)^(\w+) +exit (\d+) after", summary) == [
        (name, "3" if name == "tests" else "0") for name in PARTS
    ]
    calls = (python.parent / "calls").read_text()
    assert all(line.startswith(f"{ROOT} {ROOT}:before: ") for line in calls.splitlines())
    assert "-m gptkit check naive --device cpu" in calls
    assert calls.count("profile_training.py gpt_small") == 2


@pytest.mark.exhaustive
def test_ten_steps_are_profiled(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=RECIPE)
    # A sample in each five steps would be most of the profile.
    steps_alone = ("train.max_iters=70", "train.sample_interval=0", "train.eval_interval=0")
    arguments = (BENCHMARKS / "profile_training.py", recipe, tmp_path, *steps_alone)
    subprocess.run([sys.executable, *map(str, arguments)], check=True, capture_output=True, cwd=tmp_path)
    assert "aten::addmm" in (tmp_path / "kernels.txt").read_text()
    assert (tmp_path / "trace.json").exists()
    assert (tmp_path / "run" / "resolved.toml").exists()
