"""The baseline and transformers' GPT-2 compute what gptkit computes, once they have its weights."""

from pathlib import Path

import pytest
import torch

from gptkit.bench import baseline as baselines, hf_gpt2
from gptkit.bench.baseline import baseline, copy_weights, has_lecture_parts, plain_model
from gptkit.nn.eval_mode import evaluating
from tests.bench.conftest import SmallWorkload

TOKENS = torch.arange(24).reshape(2, 12)


def test_with_the_same_weights_the_baseline_gives_the_same_logits(small_workload: SmallWorkload) -> None:
    model = small_workload("model.n_layer=2").model
    assert has_lecture_parts(model)
    program = baseline()
    assert program is not None
    plain = plain_model(program, model.dims)
    copy_weights(model, plain)
    with evaluating(model), evaluating(plain):
        torch.testing.assert_close(plain(TOKENS), model(TOKENS))


def test_with_the_same_weights_gpt2_gives_the_same_logits(small_workload: SmallWorkload) -> None:
    pytest.importorskip("transformers")
    model = small_workload("model.n_layer=2").model
    gpt2 = hf_gpt2.build(model.dims)
    hf_gpt2.copy_weights(model, gpt2)
    with evaluating(model), evaluating(gpt2):
        torch.testing.assert_close(gpt2(input_ids=TOKENS).logits, model(TOKENS))


@pytest.mark.parametrize(
    "override",
    [
        "model.norm=rmsnorm",
        "model.norm={ use = 'layernorm', eps = 1e-3 }",
        "model.norm={ use = 'layernorm', bias = false }",
        "model.feed_forward=gelu",
        "model.feed_forward={ use = 'relu', expand = 2 }",
        "model.feed_forward={ use = 'relu', bias = false }",
        "model.position=rope",
        "model.attention={ use = 'sdpa', qkv_bias = true }",
        "model.attention={ use = 'sdpa', out_bias = false }",
    ],
)
def test_weights_of_other_parts_have_no_place_in_the_baseline(
    small_workload: SmallWorkload, override: str
) -> None:
    assert not has_lecture_parts(small_workload(override).model)


def test_where_the_baseline_is_not_installed_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(baselines, "FILES", (tmp_path / "plain_gpt.py",))
    baseline.cache_clear()
    assert baseline() is None
    baseline.cache_clear()
