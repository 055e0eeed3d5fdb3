import pytest
import torch

from gptkit.bench import contexts as race
from gptkit.bench.clock import Rounds
from gptkit.bench.contexts import contexts, curves, foreseen
from gptkit.bench.row import Row
from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.attention.sdpa import SdpaAttention
from gptkit.testing.case import Case
from gptkit.tuning.matmul_rate import matmul_peak
from tests.bench.test_attention import Unscaled

CPU = torch.device("cpu")
CASE = Case(B=7, H=2, D=4, dtype=torch.float32)
PACE = Rounds(repeats=1, at_least=0.0)
BOTH = {"naive": NaiveAttention, "sdpa": SdpaAttention}


@pytest.fixture(autouse=True)
def a_small_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find the peak with small products."""
    monkeypatch.setattr("gptkit.tuning.matmul_rate.PRODUCTS", ((256, 256, 256),))
    matmul_peak.cache_clear()


def test_contexts_double_from_128_on() -> None:
    assert contexts(CPU) == [128, 256, 512, 1024, 2048, 4096]
    assert contexts(torch.device("cuda"))[-2:] == [8192, 16384]


def test_each_attention_has_a_point_at_each_context_on_one_sequence() -> None:
    found = curves(BOTH, [16, 32], CASE, PACE)
    assert {name: list(rows) for name, rows in found.points.items()} == {"naive": [16, 32], "sdpa": [16, 32]}
    assert found.points["sdpa"][32].group == "attend forward and backward, cpu float32 1x2x32x4"
    assert (found.stopped, found.wrong) == ({}, frozenset())


def test_it_stops_before_a_pass_that_would_take_too_long_and_says_so() -> None:
    found = curves(BOTH, [16, 32], CASE, PACE, longest_seconds=0.0)
    assert {name: list(rows) for name, rows in found.points.items()} == {"naive": [16], "sdpa": [16]}
    assert found.stopped["naive"].startswith("stopped before a context of 32: a pass could take ")
    assert found.stopped["naive"].endswith(" s, and 0 s is the limit")
    assert found.wrong == frozenset()


def test_it_stops_before_a_pass_that_would_need_too_much_memory_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = curves(BOTH, [16], CASE, PACE).points["sdpa"][16].facts["peak bytes"]
    monkeypatch.setattr(race, "free_memory", lambda device: 4 * held)
    found = curves(BOTH, [16, 32], CASE, PACE)
    assert set(found.stopped) == {"naive"}
    assert " GB, and " in found.stopped["naive"]
    assert list(found.points["sdpa"]) == [16, 32]


def test_one_that_is_wrong_stops_where_it_is_and_the_others_go_on() -> None:
    found = curves({**BOTH, "mine": Unscaled}, [16, 32], CASE, PACE)
    assert found.points["mine"] == {}
    assert found.stopped["mine"].startswith("stopped at a context of 16: output is off by ")
    assert found.wrong == {"mine"}
    assert list(found.points["naive"]) == [16, 32]


def test_what_is_quick_and_small_goes_on() -> None:
    assert foreseen(Row("", "", (1.0,)), CPU, 4.0) == ""
    assert foreseen(Row("", "", (1.1,)), CPU, 4.0) == "a pass could take 4.4 s, and 4 s is the limit"
