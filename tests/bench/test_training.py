import copy

import pytest
import torch

from gptkit.bench import training
from gptkit.bench.clock import Rounds
from gptkit.bench.training import ours, time_training
from tests.bench.conftest import SmallWorkload

PACE = Rounds(repeats=2, at_least=0.0)


def test_ours_is_compared_with_the_baseline(
    small_workload: SmallWorkload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "is_installed", lambda: False)
    gptkit, plain = time_training(small_workload("train.grad_accumulation=2"), PACE, name="small")
    assert gptkit.group == plain.group == "train step small, cpu 8x16"
    assert (gptkit.name, plain.name) == ("gptkit", "plain")
    assert gptkit.ratios == tuple(a / b for a, b in zip(plain.seconds, gptkit.seconds, strict=True))
    assert gptkit.facts["tokens/s"] == pytest.approx(8 * 16 / (sum(gptkit.seconds) / 2))
    assert (gptkit.facts["dtype"], gptkit.facts["compile"]) == ("fp32", False)


def test_a_peer_takes_part_where_it_is_installed(small_workload: SmallWorkload) -> None:
    pytest.importorskip("transformers")
    rows = time_training(small_workload(), PACE, name="small")
    assert [row.name for row in rows] == ["gptkit", "plain", "transformers"]


def test_without_the_baseline_there_are_no_ratios(
    small_workload: SmallWorkload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "is_installed", lambda: False)
    monkeypatch.setattr(training, "baseline", lambda: None)
    (row,) = time_training(small_workload(), PACE, name="small")
    assert (row.name, len(row.seconds), row.ratios) == ("gptkit", 2, ())


def test_a_step_is_a_real_one_of_a_copy(small_workload: SmallWorkload, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = small_workload()
    before = [weight.clone() for weight in prepared.model.parameters()]
    trained = copy.deepcopy(prepared.model)
    monkeypatch.setattr("copy.deepcopy", lambda model: trained)
    ours(prepared).call()
    for was, weight, own in zip(before, prepared.model.parameters(), trained.parameters(), strict=True):
        # Decoding, which is timed next, wants a model whose head's bias is zero, as the peer has none.
        assert torch.equal(was, weight)
        assert not torch.equal(was, own)


def test_the_others_train_too(small_workload: SmallWorkload) -> None:
    prepared = small_workload()
    contestants = training.others(prepared, rows=4)
    assert [contestant.name for contestant in contestants][:1] == ["plain"]
    for contestant in contestants:
        contestant.call()
