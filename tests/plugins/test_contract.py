"""Every part in plugins/ keeps the contract, at its last level."""

from pathlib import Path

import pytest

from gptkit.testing import contract
from gptkit.testing.check import LEVELS

pytestmark = pytest.mark.exhaustive

PLUGINS = Path(__file__).parents[2] / "plugins"
PARTS = {
    "alibi": "alibi",
    "flex": "flex",
    "grouped_query": "grouped_query",
    "mixture_of_experts": "mixture_of_experts",
    "parallel_block": "parallel",
    "sliding_window": "sliding_window",
    "torch_mha": "torch_mha",
    "value_embeddings": "value_embeddings",
    "gptkit-dyt/src/gptkit_dyt/__init__": "dyt",
}

for file, name in PARTS.items():
    globals()[f"test_{name}"] = contract(name, plugins=[PLUGINS / f"{file}.py"], inputs=5, level=LEVELS[-1])


def test_no_file_is_left_out() -> None:
    files = [*PLUGINS.glob("*.py"), *PLUGINS.glob("*/src/**/*.py")]
    assert {file.relative_to(PLUGINS).with_suffix("").as_posix() for file in files} == set(PARTS)
