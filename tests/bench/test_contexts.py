import pytest
import torch

from gptkit.bench import contexts as contexts_module
from gptkit.bench.clock import Rounds
from gptkit.bench.contexts import Failed, TooLarge, TooSlow, context_curves, contexts, predicted_end
from gptkit.bench.result import BenchResult
from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.attention.sdpa import SdpaAttention
from gptkit.testing.case import Case
from gptkit.tuning.matmul_rate import matmul_peak
from tests.bench.test_attention import Unscaled

CPU = torch.device("cpu")
CASE = Case(B=7, H=2, D=4, dtype=torch.float32)
ROUNDS = Rounds(repeats=1, at_least=0.0)
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
    found = context_curves(BOTH, [16, 32], CASE, ROUNDS)
    assert {name: list(rows) for name, rows in found.points.items()} == {"naive": [16, 32], "sdpa": [16, 32]}
    assert found.points["sdpa"][32].group == "attend forward and backward, cpu float32 1x2x32x4"
    assert (found.ended, found.are_correct) == ({}, True)


def test_it_stops_before_a_pass_that_would_take_too_long_and_says_so() -> None:
    found = context_curves(BOTH, [16, 32], CASE, ROUNDS, longest_seconds=0.0)
    assert {name: list(rows) for name, rows in found.points.items()} == {"naive": [16], "sdpa": [16]}
    end = found.ended["naive"]
    assert isinstance(end, TooSlow)
    assert (end.context, end.limit, end.seconds > 0) == (32, 0.0, True)
    assert found.are_correct


def test_it_stops_before_a_pass_that_would_need_too_much_memory_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = context_curves(BOTH, [16], CASE, ROUNDS).points["sdpa"][16].details.peak_bytes
    assert held is not None
    monkeypatch.setattr(contexts_module, "free_memory", lambda device: 4 * held)
    found = context_curves(BOTH, [16, 32], CASE, ROUNDS)
    assert set(found.ended) == {"naive"}
    end = found.ended["naive"]
    assert isinstance(end, TooLarge)
    assert (end.context, end.free, end.needed > end.free) == (32, 4 * held, True)
    assert list(found.points["sdpa"]) == [16, 32]


def test_one_that_is_wrong_stops_where_it_is_and_the_others_go_on() -> None:
    found = context_curves({**BOTH, "mine": Unscaled}, [16, 32], CASE, ROUNDS)
    assert found.points["mine"] == {}
    end = found.ended["mine"]
    assert isinstance(end, Failed)
    assert (end.context, end.is_wrong, found.are_correct) == (16, True, False)
    assert end.reason.startswith("output is off by ")
    assert list(found.points["naive"]) == [16, 32]


def test_what_is_quick_and_small_goes_on() -> None:
    assert predicted_end(BenchResult("", "", (1.0,)), 32, CPU, 4.0) is None
    assert predicted_end(BenchResult("", "", (1.1,)), 32, CPU, 4.0) == TooSlow(32, 4.4, 4.0)
