"""PyTorch's module behind the interface: how many weights it has, and what it refuses."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.position.learned import LearnedPosition
from gptkit.components.position.rope import RopePosition
from gptkit.errors import RecipeError
from gptkit.interfaces import AttentionContext, Dims
from gptkit.nn import SoftmaxAttention
from gptkit.recipe.check import check_recipe
from gptkit.recipe.read import read
from gptkit.registry.loader import Plugins, import_file

FILE = Path(__file__).parents[2] / "plugins" / "torch_mha.py"
PLUGIN: Any = import_file(FILE)
DIMS = Dims(n_layer=1, n_head=2, n_embd=4, block_size=8, vocab_size=7)
X = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))


def sizes(part: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in part.parameters())


@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.parametrize("out_bias", [False, True])
def test_it_has_as_many_weights_as_naive(qkv_bias: bool, out_bias: bool) -> None:
    naive: SoftmaxAttention = NaiveAttention(DIMS, qkv_bias=qkv_bias, out_bias=out_bias)
    assert sizes(PLUGIN.TorchMHAttention(DIMS, qkv_bias=qkv_bias, out_bias=out_bias)) == sizes(naive)


def test_its_weights_are_drawn_as_those_of_others_are() -> None:
    wide = Dims(n_layer=1, n_head=2, n_embd=128, block_size=8, vocab_size=7)
    part = PLUGIN.TorchMHAttention(wide, qkv_bias=True)
    for weight in (part.attention.in_proj_weight, part.attention.out_proj.weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not part.attention.in_proj_bias.any()
    assert not part.attention.out_proj.bias.any()


@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.parametrize("out_bias", [False, True])
def test_the_fast_path_gives_the_same(qkv_bias: bool, out_bias: bool) -> None:
    # PyTorch takes another way where no gradient is asked for.
    part = PLUGIN.TorchMHAttention(DIMS, qkv_bias=qkv_bias, out_bias=out_bias).eval()
    document = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 1]])
    attn_mask = (document[:, :, None] == document[:, None]).tril()[:, None]  # (B, 1, T, T)
    for ctx in (
        AttentionContext(),
        AttentionContext(attn_mask=attn_mask),
        AttentionContext(attn_mask=attn_mask[0]),
    ):
        with torch.no_grad():
            found = part(X, ctx)
        torch.testing.assert_close(found, part(X, ctx))


def test_a_position_that_only_embeds_is_welcome() -> None:
    part = PLUGIN.TorchMHAttention(DIMS).eval()
    torch.testing.assert_close(part(X, AttentionContext(position=LearnedPosition(DIMS))), part(X))


REFUSAL = (
    "RopePosition rotates queries and keys, and torch.nn.MultiheadAttention makes them inside, where it "
    "cannot: choose a position that adds to embeddings, such as 'learned', or an attention that lets them "
    "be rotated, such as 'sdpa'"
)


def test_a_recipe_with_a_position_that_rotates_is_refused_before_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    sizes = "n_layer = 2\nn_head = 2\nn_embd = 8\nblock_size = 8\n"
    train = "[train]\nbatch_size = 4\nmax_iters = 12\n"
    file.write_text(f'[model]\n{sizes}attention = "torch_mha"\nposition = "rope"\n{train}')
    with pytest.raises(RecipeError) as caught:
        check_recipe(read(file), Plugins([FILE]))
    assert str(caught.value) == f"{file}:6  model.attention  {REFUSAL}"


def test_a_pass_with_a_position_that_rotates_is_refused() -> None:
    with pytest.raises(NotImplementedError, match=f"^{re.escape(REFUSAL)}$"):
        PLUGIN.TorchMHAttention(DIMS)(X, AttentionContext(position=RopePosition(DIMS)))
