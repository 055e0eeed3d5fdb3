"""Values that know their tokens, while training and while decoding."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gptkit.decoding.decoder import UncachedDecoder
from gptkit.interfaces import AttentionContext
from gptkit.model import GPT
from gptkit.registry.loader import import_file
from tests.program import run_program
from tests.small import small_dims, small_model

PLUGIN: Any = import_file(Path(__file__).parents[2] / "plugins" / "value_embeddings.py")


def model_with_values() -> GPT:
    """Return a model whose second layer embeds tokens in its values."""
    model = small_model(std=0.5)
    part = PLUGIN.ValueEmbeddingAttention(small_dims())
    with torch.no_grad():
        for weight in part.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(1))
    model.blocks[1].attention = part
    return model.eval()


def test_a_value_is_shared_between_the_input_and_the_token() -> None:
    part = PLUGIN.ValueEmbeddingAttention(small_dims(), out_bias=False)
    with torch.no_grad():
        part.out.weight.copy_(torch.eye(8))
        part.shares.copy_(torch.tensor([2.0, 3.0]))
    x = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(0))
    found = part(x, AttentionContext(tokens=torch.tensor([[4]])))
    expected = 2 * part.qkv(x)[..., 16:] + 3 * part.table.weight[4]
    torch.testing.assert_close(found, expected)


def test_it_writes_the_same_text_with_a_cache_as_without() -> None:
    model, prompt = model_with_values(), torch.tensor([[3, 1, 4]])
    with torch.no_grad():
        cached = model.generate(prompt, 9, temperature=0.0)
        assert cached.equal(model.generate(prompt, 9, temperature=0.0, decoder=UncachedDecoder(model)))
    assert len(set(cached[0].tolist())) > 2


# In a process of its own, because the checker of annotations cannot be compiled.
PROGRAM = """
import torch

from gptkit.decoding.compiled_decoder import CompiledDecoder
from tests.decoding.test_compiled_decoder import Counting
from tests.plugins.test_value_embeddings import model_with_values

model, prompt, compiler = model_with_values(), torch.tensor([[3, 1, 4]]), Counting()
with torch.no_grad():
    compiled = model.generate(prompt, 9, temperature=0.0, decoder=CompiledDecoder(model, compiler=compiler))
    print(compiled.equal(model.generate(prompt, 9, temperature=0.0)), compiler.count)
"""


@pytest.mark.exhaustive
def test_it_writes_the_same_text_compiled_once() -> None:
    assert run_program(PROGRAM).split() == ["True", "1"]


def test_vectors_without_tokens_are_refused() -> None:
    part = PLUGIN.ValueEmbeddingAttention(small_dims())
    with pytest.raises(NotImplementedError, match=r"^layer 1 embeds tokens in its values, and got none$"):
        part(torch.zeros(1, 2, 8), AttentionContext(layer=1))
