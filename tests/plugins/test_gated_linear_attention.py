"""Gated linear attention: against sums worked out by hand, at gates that close, and written token by token."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from gptkit.decoding.compiled_decoder import CompiledDecoder
from gptkit.decoding.decoder import CachedDecoder, Decoder, UncachedDecoder
from gptkit.interfaces import AttentionContext, Dims
from gptkit.model import GPT
from gptkit.registry.loader import import_file
from tests.decoding.test_compiled_decoder import Counting
from tests.decoding.test_decoder import Replaying
from tests.small import small_model

PLUGIN: Any = import_file(Path(__file__).parents[2] / "plugins" / "gated_linear_attention.py")
BOTH = [PLUGIN.RecurrentGatedLinearAttention, PLUGIN.ChunkedGatedLinearAttention]
DIMS = Dims(n_layer=1, n_head=1, n_embd=2, block_size=8, vocab_size=7)


@pytest.mark.parametrize("part", BOTH)
def test_the_state_decays_channel_by_channel_of_the_keys(part: Any) -> None:
    q = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 2.0]])
    k = torch.tensor([[1.0, 2.0], [1.0, 0.0], [0.0, 1.0]])
    v = torch.tensor([[8.0, 0.0], [0.0, 3.0], [5.0, 5.0]])
    decay = torch.tensor([[0.1, 0.1], [0.5, 0.25], [1.0, 0.5]])
    state = torch.tensor([[10.0, 0.0], [0.0, 20.0]])
    y, after = part(DIMS).mix(*(x[None, None] for x in (q, k, v, decay.log(), state)))
    # After each position the state is [[9, 0], [16, 2]], [[4.5, 3], [4, 0.5]] and [[4.5, 3], [7, 5.25]].
    torch.testing.assert_close(y[0, 0], torch.tensor([[25.0, 2.0], [4.5, 3.0], [14.0, 10.5]]))
    torch.testing.assert_close(after[0, 0], torch.tensor([[4.5, 3.0], [7.0, 5.25]]))


def test_a_gate_that_closes_loses_no_digits_behind_it() -> None:
    drawn = torch.Generator().manual_seed(0)
    q, k, v, log_decay = (torch.randn(1, 2, 40, 4, generator=drawn) for _ in range(4))
    # A sum of 10,000 leaves float32 no more than three digits behind the point.
    log_decay = torch.where(torch.arange(40)[:, None] % 7 == 3, -1e4, -log_decay.abs() / 16)
    state = torch.randn(1, 2, 4, 4, generator=drawn)
    recurrent, chunked = (part(DIMS) for part in BOTH)
    expected = recurrent.mix(*(x.double() for x in (q, k, v, log_decay, state)))
    for found, exact in zip(chunked.mix(q, k, v, log_decay, state), expected, strict=True):
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


def same_text(part: Any, make: Callable[[GPT], Decoder]) -> bool:
    """Return whether a model of both families of layers writes what it writes without caches."""
    model = small_model(std=0.5)
    model.blocks[0] = small_model(part, std=0.5).blocks[0]
    model.double().eval()
    prompt = torch.tensor([[3, 1, 4], [1, 5, 9]])
    # Past the context of 8, where a new state is filled.
    found, expected = (
        model.generate(prompt, 10, temperature=0.0, decoder=each) for each in (make(model), UncachedDecoder(model))
    )
    return torch.equal(found, expected)


@pytest.mark.parametrize(
    ("part", "make"),
    [*((part, CachedDecoder) for part in BOTH), (BOTH[1], partial(Replaying, chunk=3, compile=False))],
)
def test_text_does_not_depend_on_the_decoder(part: Any, make: Callable[[GPT], Decoder]) -> None:
    assert same_text(part, make)


@pytest.mark.parametrize("part", [pytest.param(BOTH[0], marks=pytest.mark.exhaustive), BOTH[1]])
def test_text_does_not_depend_on_the_compiler(part: Any) -> None:
    assert same_text(part, partial(CompiledDecoder, compiler=Counting()))


def test_a_mask_is_refused() -> None:
    message = (
        "gated linear attention keeps a sum over earlier positions, of which `attn_mask` cannot hide any: choose "
        "a softmax attention, such as 'sdpa'"
    )
    ctx = AttentionContext(attn_mask=torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(NotImplementedError, match=f"^{re.escape(message)}$"):
        BOTH[0](DIMS)(torch.zeros(1, 1, 2), ctx)
