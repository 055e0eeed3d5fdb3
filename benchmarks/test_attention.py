"""Times every registered attention that is correct."""

from functools import cache

import pytest
import torch

from gptkit.bench.attention import (
    REFERENCE,
    attentions_timed_whole,
    label,
    softmax_attentions,
    time_attend,
    time_whole,
)
from gptkit.bench.attention_passes import PASSES
from gptkit.bench.clock import Rounds
from gptkit.bench.result import BenchResult
from gptkit.registry.loader import Plugins
from gptkit.registry.registry import Registry
from gptkit.testing.case import Case

from .conftest import Report

ON_CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_CUDA else "cpu")
DTYPE = torch.bfloat16 if ON_CUDA else torch.float32
# (B, H, T, D): that of `gpt_small`, then longer contexts with fewer rows. On a CPU a round must end within
# seconds, and the scores that `naive` keeps for the backward pass must fit in 4 GB.
CUDA_SHAPES = [(64, 6, 256, 64), (16, 6, 1024, 64), (4, 6, 4096, 64), (1, 6, 16384, 64)]
CPU_SHAPES = [(64, 6, 256, 64), (4, 6, 1024, 64), (1, 6, 4096, 64)]
CASES = [
    Case(B=B, H=H, T=T, D=D, dtype=DTYPE, device=DEVICE) for B, H, T, D in (CUDA_SHAPES if ON_CUDA else CPU_SHAPES)
]

each_case = pytest.mark.parametrize("case", CASES, ids=label)
each_pass = pytest.mark.parametrize("which", PASSES)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Time every attention, including those of the files that `--plugin` names."""
    if "name" in metafunc.fixturenames:
        registry = Plugins(metafunc.config.getoption("--plugin")).registry
        is_attend = "attend" in metafunc.function.__name__
        found = softmax_attentions(registry) if is_attend else attentions_timed_whole(registry)
        metafunc.parametrize("name", sorted(found))


@pytest.fixture(scope="session")
def registry(pytestconfig: pytest.Config) -> Registry:
    return Plugins(pytestconfig.getoption("--plugin")).registry


@each_case
@each_pass
def test_attend(
    report: Report,
    registry: Registry,
    selected: frozenset[str],
    rounds: Rounds,
    name: str,
    which: str,
    case: Case,
) -> None:
    report(attend_results(registry, selected | {REFERENCE}, case, which, rounds), name)


@each_case
@each_pass
def test_whole(
    report: Report,
    registry: Registry,
    selected: frozenset[str],
    rounds: Rounds,
    name: str,
    which: str,
    case: Case,
) -> None:
    report(whole_results(registry, selected | {REFERENCE}, case, which, rounds), name)


# One interleaved measurement serves the tests of all names.
@cache
def attend_results(
    registry: Registry, names: frozenset[str], case: Case, which: str, rounds: Rounds
) -> list[BenchResult]:
    found = softmax_attentions(registry)
    return time_attend({name: found[name] for name in sorted(names)}, case, which, rounds)


@cache
def whole_results(
    registry: Registry, names: frozenset[str], case: Case, which: str, rounds: Rounds
) -> list[BenchResult]:
    found = attentions_timed_whole(registry)
    return time_whole({name: found[name] for name in sorted(names)}, case, which, rounds)
