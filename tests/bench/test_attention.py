"""A correct attention is timed, a wrong one has a reason."""

import pytest
import torch
from torch import Tensor

from gptkit.bench.attention import attentions_timed_whole, softmax_attentions, time_attend, time_whole
from gptkit.bench.attention_passes import BACKWARD, BOTH, FORWARD, PASSES, attend_inputs, attend_passes, operations
from gptkit.bench.clock import Rounds
from gptkit.bench.result import Details
from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.attention.sdpa import SdpaAttention
from gptkit.interfaces import Dims
from gptkit.registry.loader import Plugins
from gptkit.testing.case import Case
from gptkit.tuning.matmul_rate import matmul_peak
from tests.testing.right_parts import MeanAttention

CASE = Case(B=2, H=2, T=64, D=16, dtype=torch.float32)
ROUNDS = Rounds(repeats=2, at_least=0.0)
Mask = Tensor | None


class Unscaled(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(2 * q, k, v, attn_mask)


class NeedsGradients(NaiveAttention):
    """It is right where it is proven, and fails where it is timed."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        if not torch.is_grad_enabled():
            raise RuntimeError("only in training")
        return super().attend(q, k, v, attn_mask)


class Unbuildable(NaiveAttention):
    def __init__(self, dims: Dims) -> None:
        raise ValueError("needs 999 channels")


@pytest.fixture(autouse=True)
def a_small_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find the peak with small products."""
    monkeypatch.setattr("gptkit.tuning.matmul_rate.PRODUCTS", ((256, 256, 256),))
    matmul_peak.cache_clear()


@pytest.mark.parametrize("which", PASSES)
def test_who_is_right_is_timed_with_rate_and_memory(which: str) -> None:
    naive, sdpa = time_attend({"naive": NaiveAttention, "sdpa": SdpaAttention}, CASE, which, ROUNDS)
    assert naive.group == sdpa.group == f"attend {which}, cpu float32 2x2x64x16"
    peaks, kept = [], []
    for row in (naive, sdpa):
        assert (row.reason, len(row.seconds), len(row.ratios), row.baseline) == ("", 2, 2, "naive")
        details = row.details
        assert details.flops is not None
        assert details.peak_flops is not None
        assert details.share_of_peak == details.flops / details.peak_flops
        assert 0 < details.share_of_peak < 1.2
        peaks.append(details.peak_bytes or 0)
        kept.append(details.kept_bytes or 0)
    assert min(peaks) > 0
    if which == BOTH:
        # 2 × 2 heads of 64 × 16 numbers of 4 bytes, each of the queries, keys, values and the output; and more.
        assert kept[0] > kept[1] >= 4 * 2 * 2 * 64 * 16 * 4
    else:
        assert kept == [0, 0]
    assert naive.ratios == (1.0, 1.0)
    if which != BACKWARD:
        # The one holds the scores of every query and key, the other does not.
        assert peaks[0] > peaks[1]


@pytest.mark.parametrize("which", PASSES)
def test_who_is_wrong_has_a_reason_and_no_time(which: str) -> None:
    for time in (time_attend, time_whole):
        naive, unscaled = time({"unscaled": Unscaled, "naive": NaiveAttention}, CASE, which, ROUNDS)
        assert (naive.name, len(naive.seconds)) == ("naive", 2)
        assert (unscaled.name, unscaled.seconds, unscaled.ratios, unscaled.details) == (
            "unscaled",
            (),
            (),
            Details(),
        )
        assert unscaled.reason.startswith("output is off by ")


def test_what_fails_only_when_it_is_timed_has_a_reason_too() -> None:
    (row,) = time_attend({"mine": NeedsGradients}, CASE, FORWARD, ROUNDS)
    assert row.reason.startswith("RuntimeError: only in training (B=2 H=2 T=64 ")
    (row,) = time_attend({"mine": NeedsGradients}, CASE, BOTH, ROUNDS)
    assert row.reason == ""


@pytest.mark.parametrize("which", PASSES)
def test_what_cannot_be_built_has_a_reason_too(which: str) -> None:
    for time in (time_attend, time_whole):
        (row,) = time({"mine": Unbuildable}, CASE, which, ROUNDS)
        assert row.reason.startswith("ValueError: needs 999 channels (B=2 ")


def test_without_the_reference_there_are_no_ratios() -> None:
    (row,) = time_attend({"sdpa": SdpaAttention}, CASE, FORWARD, ROUNDS)
    assert (len(row.seconds), row.ratios) == (2, ())


def test_an_attention_without_attend_is_timed_whole_beside_all_others() -> None:
    registry = Plugins().registry
    assert attentions_timed_whole(registry) == {}
    registry.add_all([("mean", MeanAttention)], owner="me")
    assert set(attentions_timed_whole(registry)) == {*softmax_attentions(registry), "mean"}
    (row,) = time_whole({"mean": MeanAttention}, CASE, BOTH, ROUNDS)
    assert (row.reason, len(row.seconds), set(row.details.to_json())) == ("", 2, {"peak bytes"})


def test_operations_count_the_keys_that_a_query_sees() -> None:
    case = Case(B=2, H=3, T=4, D=5)
    # 1 + 2 + 3 + 4 keys, two products of 5 multiplications and additions each.
    assert operations(case, FORWARD) == 2 * 3 * (1 + 2 + 3 + 4) * 2 * 5 * 2
    assert [operations(case, which) / operations(case, FORWARD) for which in PASSES] == [1, 2.5, 3.5]


def test_a_backward_pass_goes_through_a_graph_of_its_own() -> None:
    inputs = attend_inputs(CASE)
    passes = attend_passes("naive", CASE.build(NaiveAttention), inputs)
    prepare = passes[BACKWARD].prepare
    assert prepare is not None
    graphs = prepare()
    assert len(graphs) == 1
    passes[BACKWARD].call(graphs)
    assert graphs == []


@pytest.mark.cuda
def test_on_a_gpu_no_input_is_in_the_cache() -> None:
    case = Case(B=2, H=2, T=64, D=16, dtype=torch.bfloat16, device=torch.device("cuda"))
    sizes = [sum(x.nbytes for x in (*each.arguments, each.gradient)) for each in attend_inputs(case)]
    assert sum(sizes) >= 200 * 2**20
    for which in PASSES:
        (row,) = time_attend({"sdpa": SdpaAttention}, case, which, ROUNDS)
        assert row.reason == ""
