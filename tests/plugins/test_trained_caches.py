"""A recipe whose layers cache a state and latents: it learns, and its text is what recomputation gives."""

import json
from pathlib import Path

import torch

import gptkit
from gptkit.decoding.decoder import CachedDecoder
from tests.small import RECIPE, finish, write_recipe

PLUGINS = [
    Path(__file__).parents[2] / f"plugins/{name}.py" for name in ("gated_linear_attention", "latent_attention")
]
LAYERS = """
[[model.layer]]
at = [1]
attention = { use = "latent", rank = 4 }
"""


def test_a_state_and_latents_are_learnt_and_written_from(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, recipe=f"plugins = {json.dumps([*map(str, PLUGINS)])}\n{RECIPE}{LAYERS}")
    chosen = ["model.attention=gla_chunked", "model.n_layer=2", "train.max_iters=6"]
    chosen += [f"train.{what}_interval=0" for what in ("eval", "sample", "checkpoint")]
    run = gptkit.load(finish(recipe, tmp_path / "run", chosen, trust_plugins=True), trust_plugins=True)
    losses = [
        metrics["loss"]
        for metrics in map(json.loads, (tmp_path / "run/metrics.jsonl").read_text().splitlines())
        if "loss" in metrics
    ]
    assert losses[-1] < losses[0]
    caches = [type(cache).__name__ for cache in run.model.new_caches(1)]
    assert caches == ["StateCache", "LatentCache"]
    model, tokens = run.model.double(), torch.tensor([run.tokenizer.encode("green bottles")])
    decoder = CachedDecoder(model)
    with torch.no_grad():
        decoder.start(tokens[:, :1])
        logits = torch.stack([decoder.step(token) for token in tokens.T[1:]], dim=1)
        torch.testing.assert_close(logits, model(tokens)[:, 1:])
    # Past the context of 16.
    found, expected = (
        model.generate(tokens, 10, generator=torch.Generator().manual_seed(0), use_cache=use_cache)
        for use_cache in (True, False)
    )
    assert torch.equal(found, expected)
