"""Latent attention: against the formula, in what it caches, and written token by token."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gptkit.components.position.rope import RopePosition
from gptkit.decoding.compiled_decoder import CompiledDecoder
from gptkit.interfaces import AttentionContext, Dims
from gptkit.registry.loader import import_file
from tests.decoding.test_compiled_decoder import Counting
from tests.small import small_model

PLUGIN: Any = import_file(Path(__file__).parents[2] / "plugins" / "latent_attention.py")
DIMS = Dims(n_layer=1, n_head=2, n_embd=8, block_size=8, vocab_size=7)
ROPE = RopePosition(DIMS)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def part() -> Any:
    """Return an attention whose weights are large enough to tell positions apart."""
    part = PLUGIN.LatentAttention(DIMS, rank=3)
    with torch.no_grad():
        for seed, weight in enumerate(part.parameters()):
            weight.copy_(numbers(*weight.shape, seed=seed))
    return part


def formula(part: Any, x: Tensor) -> Tensor:
    """Return the output for one row, one head and one query at a time."""
    C, D, R = 8, 4, 3
    latents, rotated_keys = (x @ part.down.weight.T).split((R, D), dim=-1)
    plain, rotated = (x @ part.queries.weight.T).split(C, dim=-1)
    heads = []
    for h in range(2):
        own = slice(h * D, (h + 1) * D)
        k, v = latents @ part.up.weight[:C][own].T, latents @ part.up.weight[C:][own].T  # (T, D)
        q_r, k_r = (each[0, 0] for each in ROPE.rotate(rotated[None, None, :, own], rotated_keys[None, None], 0))
        scores = (plain[:, own] @ k.T + q_r @ k_r.T) / math.sqrt(2 * D)  # (T, T)
        heads.append(torch.stack([scores[t, : t + 1].softmax(dim=0) @ v[: t + 1] for t in range(len(x))]))
    return torch.cat(heads, dim=-1) @ part.out.weight.T + part.out.bias


def test_scores_add_a_plain_and_a_rotated_product(part: Any) -> None:
    x = numbers(5, 8)
    torch.testing.assert_close(part(x[None], AttentionContext(position=ROPE))[0], formula(part, x))


def test_the_latents_are_read_as_they_are(part: Any) -> None:
    x = numbers(5, 8)
    cache = part.new_cache(1, 5)
    found = part(x[None], AttentionContext(position=ROPE, cache=cache))
    torch.testing.assert_close(found[0], formula(part, x))
    latents, keys = (x @ part.down.weight.T).split((3, 4), dim=-1)
    torch.testing.assert_close(cache.latents[0, 0], latents)
    torch.testing.assert_close(cache.keys[0, 0], ROPE.rotate(keys[None, None], keys[None, None], 0)[0][0, 0])


def test_the_cache_holds_one_latent_and_one_key_for_all_heads(part: Any) -> None:
    assert {name: tuple(each.shape) for name, each in vars(part.new_cache(3, 8)).items()} == {
        "latents": (3, 1, 8, 3),
        "keys": (3, 1, 8, 4),
    }


@pytest.mark.parametrize("compiles", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_text_does_not_depend_on_the_decoder(compiles: bool) -> None:
    model = small_model(PLUGIN.LatentAttention, RopePosition, n_layer=1, std=0.5).double().eval()
    prompt = torch.tensor([[3, 1, 4], [1, 5, 9]])
    decoder = CompiledDecoder(model, compiler=Counting()) if compiles else None
    # Past the context of 8.
    found = model.generate(prompt, 12, temperature=0.0, decoder=decoder)
    assert torch.equal(found, model.generate(prompt, 12, temperature=0.0, use_cache=False))
