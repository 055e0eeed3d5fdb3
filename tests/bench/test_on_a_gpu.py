"""`benchmarks/on_a_gpu.sh`, as far as it can be tried without a GPU, and the profile that it makes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.small import RECIPE, write_recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_its_parts_end_within_eight_minutes() -> None:
    limits = re.findall(r"(?m)^part \w+ (\d+) ", (BENCHMARKS / "on_a_gpu.sh").read_text())
    assert len(limits) == 6
    assert sum(map(int, limits)) <= 8 * 60


@pytest.mark.exhaustive
def test_ten_steps_are_profiled(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=RECIPE)
    arguments = (BENCHMARKS / "profile_training.py", recipe, tmp_path, "train.max_iters=70")
    subprocess.run([sys.executable, *map(str, arguments)], check=True, capture_output=True, cwd=tmp_path)
    assert "aten::addmm" in (tmp_path / "kernels.txt").read_text()
    assert (tmp_path / "trace.json").exists()
    assert (tmp_path / "run" / "resolved.toml").exists()
