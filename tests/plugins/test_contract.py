"""Every part in plugins/ keeps the contract, at its last level."""

from functools import cache
from pathlib import Path

import pytest

from gptkit.testing import contract
from gptkit.testing.check import LEVELS, Check
from gptkit.testing.checks import CHECKS
from gptkit.testing.outcome import Depth
from gptkit.testing.prove import prove
from gptkit.testing.subject import Subject
from gptkit.testing.targets import CPU, parts_called

PLUGINS = Path(__file__).parents[2] / "plugins"
PARTS = {
    "alibi": "alibi",
    "dyt": "gptkit-dyt/src/gptkit_dyt/__init__",
    "flex": "flex",
    "gla_chunked": "gated_linear_attention",
    "gla_recurrent": "gated_linear_attention",
    "grouped_query": "grouped_query",
    "latent": "latent_attention",
    "mixture_of_experts": "mixture_of_experts",
    "parallel": "parallel_block",
    "sliding_window": "sliding_window",
    "torch_mha": "torch_mha",
    "value_embeddings": "value_embeddings",
}
# Tried by every session on the caches that are not the built-in one.
CACHES = ("gla_chunked", "gla_recurrent", "latent", "sliding_window")
OF_A_CACHE = [
    check
    for check in CHECKS
    if "attention" in check.kinds
    and check.id.startswith(
        ("never_reads_the_future", "cache", "chunks", "constant_size", "decod", "reads_packed")
    )
    and "compile" not in check.id
]

for name, file in PARTS.items():
    test = contract(name, plugins=[PLUGINS / f"{file}.py"], inputs=5, level=LEVELS[-1])
    globals()[f"test_{name}"] = pytest.mark.exhaustive(test)


@cache
def subject_called(name: str) -> Subject:
    (subject,) = parts_called(name, [], [PLUGINS / f"{PARTS[name]}.py"], CPU)
    return subject


@pytest.mark.parametrize("check", OF_A_CACHE, ids=lambda check: check.id)
@pytest.mark.parametrize("name", CACHES)
def test_cache(name: str, check: Check) -> None:
    outcome = prove(check, subject_called(name), Depth(inputs=2))
    assert outcome.verdict == "held", outcome.why


def test_the_chunks_equal_the_recurrence() -> None:
    (check,) = (check for check in CHECKS if check.id == "equals_reference_when_long_in_float64")
    outcome = prove(check, subject_called("gla_chunked"), Depth(inputs=5))
    assert outcome.verdict == "held", outcome.why


def test_no_file_is_left_out() -> None:
    files = [*PLUGINS.glob("*.py"), *PLUGINS.glob("*/src/**/*.py")]
    assert {file.relative_to(PLUGINS).with_suffix("").as_posix() for file in files} == set(PARTS.values())
