from typing import Any

import pytest
import torch
from torch import Tensor

from gptkit.bench import decoding, hf_gpt2
from gptkit.bench.clock import Rounds
from gptkit.bench.decoding import batches, disagreement, lengths, time_decoding
from gptkit.nn import KVCache
from tests.bench.conftest import SmallWorkload
from tests.small import small_dims

ROUNDS = Rounds(repeats=2, at_least=0.0)


@pytest.fixture(autouse=True)
def no_gpt2(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Leave transformers' GPT-2 out, except in tests of it."""
    if "gpt2" not in request.node.name:
        monkeypatch.setattr(hf_gpt2, "is_installed", lambda: False)


@pytest.mark.parametrize(
    ("block_size", "expected"), [(256, (16, 240)), (1024, (16, 240)), (64, (16, 48)), (16, (8, 8)), (1, (1, 0))]
)
def test_prompt_and_new_tokens_fit_the_context(block_size: int, expected: tuple[int, int]) -> None:
    assert lengths(small_dims(block_size=block_size)) == expected


def test_more_texts_at_once_on_a_gpu() -> None:
    assert (batches(torch.device("cpu")), batches(torch.device("cuda"))) == ((1, 32), (1, 32, 1024))


def test_the_cached_path_is_timed_beside_the_baseline(small_workload: SmallWorkload) -> None:
    rows = time_decoding(small_workload(), 3, ROUNDS, name="small")
    assert [(row.name, row.reason, len(row.seconds)) for row in rows] == [
        ("gptkit", "", 2),
        ("plain", "", 2),
        ("gptkit, drawn", "", 2),
    ]
    assert rows[0].group == "decode small, cpu batch 3, 8 + 8 tokens"
    assert rows[0].ratios == tuple(a / b for a, b in zip(rows[1].seconds, rows[0].seconds, strict=True))
    assert rows[0].details.tokens_per_second == pytest.approx(3 * 8 / (sum(rows[0].seconds) / 2))
    assert rows[0].details.same_weights


def test_gpt2_writes_the_same_text(small_workload: SmallWorkload) -> None:
    pytest.importorskip("transformers")
    rows = time_decoding(small_workload(), 2, ROUNDS, name="small")
    assert [(row.name, row.reason) for row in rows] == [
        ("gptkit", ""),
        ("plain", ""),
        ("transformers", ""),
        ("gptkit, drawn", ""),
    ]


def test_parts_that_are_not_the_lectures_are_held_against_their_own_uncached_path(
    small_workload: SmallWorkload,
) -> None:
    rows = time_decoding(small_workload("model.position=rope"), 2, ROUNDS, name="small")
    assert [(row.reason, row.details.same_weights) for row in rows] == [("", False)] * 3


@pytest.mark.parametrize("override", ["model.position=learned", "model.position=rope"])
def test_a_cache_that_is_wrong_gets_no_time(
    small_workload: SmallWorkload, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    right = KVCache.update

    def update(self: KVCache, k: Tensor, v: Tensor, first: Any) -> tuple[Tensor, Tensor]:
        return right(self, k, -3 * v if k.shape[2] == 1 else v, first)

    monkeypatch.setattr(KVCache, "update", update)
    prepared = small_workload(override)
    with torch.no_grad():
        for weight in prepared.model.parameters():
            weight.mul_(20)
    plain, gptkit = time_decoding(prepared, 4, ROUNDS, name="small")
    assert (plain.name, plain.reason, gptkit.name, gptkit.seconds) == ("plain", "", "gptkit", ())
    assert "of its greedy text is not the uncached path's from token " in gptkit.reason


def test_only_a_tie_may_end_either_way(small_workload: SmallWorkload, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_workload().model.eval()
    expected = model.generate(torch.zeros(2, 4, dtype=torch.long), 6, temperature=0.0)
    assert disagreement(model, expected.clone(), expected, 4) == ""
    other = expected.clone()
    other[1, 7] = (other[1, 7] + 1) % 65
    assert disagreement(model, other, expected, 4).startswith(
        f"row 1 of its greedy text is not the uncached path's from token 7 on: {other[1, 7]}, expected "
        f"{expected[1, 7]}, whose logit is larger by "
    )
    monkeypatch.setattr(decoding, "TIE", 10.0)
    assert disagreement(model, other, expected, 4) == ""
    other[1, 2] = 1
    assert "from token 2 on" in disagreement(model, other, expected, 4)
    assert disagreement(model, expected[:, :-1], expected, 4) == (
        "it wrote text of shape (2, 9), expected (2, 10)"
    )
