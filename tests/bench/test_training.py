import copy

import pytest
import torch

from gptkit.bench import hf_gpt2, training
from gptkit.bench.clock import Rounds
from gptkit.bench.training import gptkit_step, reference_steps, time_training
from tests.bench.conftest import SmallWorkload

ROUNDS = Rounds(repeats=2, at_least=0.0)


def test_ours_is_compared_with_the_baseline(
    small_workload: SmallWorkload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf_gpt2, "is_installed", lambda: False)
    gptkit, plain = time_training(small_workload("train.grad_accumulation=2"), ROUNDS, name="small")
    assert gptkit.group == plain.group == "train step small, cpu 8x16"
    assert (gptkit.name, plain.name) == ("gptkit", "plain")
    assert gptkit.ratios == tuple(a / b for a, b in zip(plain.seconds, gptkit.seconds, strict=True))
    assert gptkit.details.tokens_per_second == pytest.approx(8 * 16 / (sum(gptkit.seconds) / 2))
    assert (gptkit.details.dtype, gptkit.details.compile) == ("fp32", False)


def test_gpt2_is_timed_where_it_is_installed(small_workload: SmallWorkload) -> None:
    pytest.importorskip("transformers")
    rows = time_training(small_workload(), ROUNDS, name="small")
    assert [row.name for row in rows] == ["gptkit", "plain", "transformers"]


def test_without_the_baseline_there_are_no_ratios(
    small_workload: SmallWorkload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf_gpt2, "is_installed", lambda: False)
    monkeypatch.setattr(training, "baseline", lambda: None)
    (row,) = time_training(small_workload(), ROUNDS, name="small")
    assert (row.name, len(row.seconds), row.ratios) == ("gptkit", 2, ())


def test_a_step_is_a_real_one_of_a_copy(small_workload: SmallWorkload, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = small_workload()
    before = [weight.clone() for weight in prepared.model.parameters()]
    trained = copy.deepcopy(prepared.model)
    monkeypatch.setattr("copy.deepcopy", lambda model: trained)
    gptkit_step(prepared).call()
    for was, weight, own in zip(before, prepared.model.parameters(), trained.parameters(), strict=True):
        # Decoding, which is timed next, wants a model whose head's bias is zero, as GPT-2 has none.
        assert torch.equal(was, weight)
        assert not torch.equal(was, own)


def test_the_others_train_too(small_workload: SmallWorkload) -> None:
    prepared = small_workload()
    calls = reference_steps(prepared, sequences=4)
    assert [timed.name for timed in calls][:1] == ["plain"]
    for timed in calls:
        timed.call()
