from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.interfaces import AttentionContext
from tests.small import all_parameters, small_model, small_tokens


@pytest.mark.parametrize("T", [1, 5, 8])
def test_each_token_gets_a_logit_for_every_token_that_may_follow(T: int) -> None:
    assert small_model()(torch.zeros(3, T, dtype=torch.int64)).shape == (3, T, 11)


def test_logits_of_a_token_do_not_depend_on_those_after_it() -> None:
    model, tokens = small_model().double(), small_tokens(8)[None].long()
    torch.testing.assert_close(model(tokens)[:, :5], model(tokens[:, :5]))


def test_more_tokens_than_the_context_holds_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^9 tokens do not fit the context of 8 \(block_size\): pass the last 8$"
    ):
        small_model()(torch.zeros(1, 9, dtype=torch.int64))


def test_forward_is_embeddings_then_blocks_then_norm_then_head() -> None:
    model, tokens = small_model(), small_tokens(8)[None].long()
    x = model.token_embedding.weight[tokens] + model.position.table.weight[:8]  # type: ignore[union-attr,index]
    for block in model.blocks:
        x = x + block.attention(block.norm_1(x))  # type: ignore[operator]
        x = x + block.feed_forward(block.norm_2(x))  # type: ignore[operator]
    expected = model.norm(x) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(tokens), expected)


def test_parameter_groups_hold_each_parameter_once() -> None:
    model = small_model()
    grouped = all_parameters(model.parameter_groups())
    assert sorted(map(id, grouped)) == sorted(map(id, model.parameters()))


def test_parameters_are_grouped_by_what_they_do() -> None:
    groups = small_model(n_layer=1).parameter_groups()
    assert [tuple(weight.shape) for weight in groups.matrices] == [(24, 8), (8, 8), (32, 8), (8, 32)]
    assert [tuple(weight.shape) for weight in groups.embeddings] == [(11, 8), (8, 8), (11, 8)]
    assert {weight.ndim for weight in groups.vectors} == {1}


def test_parameters_are_counted() -> None:
    model = small_model(n_layer=1)
    assert model.n_parameters == sum(weight.numel() for weight in model.parameters())
    model.token_embedding.weight.requires_grad_(False)
    assert model.n_parameters == sum(weight.numel() for weight in model.parameters()) - 11 * 8


def test_a_training_loop_of_ones_own_needs_nothing_else() -> None:
    model = small_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    tokens = small_tokens(64).long().view(8, 8)
    losses = []
    for _ in range(60):
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


class Wrapped(nn.Module):
    """Passes everything on to the module that it wraps, as sharding does."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "inner":
            return super().__getattr__(name)
        return getattr(self.inner, name)

    def forward(self, x: Tensor, ctx: AttentionContext) -> Tensor:
        return self.inner(x, ctx)


class Foreign(nn.Module):
    def forward(self, x: Tensor, ctx: AttentionContext) -> Tensor:
        return x


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, of its own parts
@pytest.mark.parametrize("wrap", [Wrapped, torch.compile])
def test_a_wrapped_block_generates_the_same_text(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model, prompt = small_model(std=0.5).eval(), small_tokens(3)[None].long()
    expected = model.generate(prompt, 12, temperature=0.0)
    model.blocks[1] = wrap(model.blocks[1])
    # The wrapper of torch.compile, without compiling.
    with torch.compiler.set_stance("force_eager"):
        assert torch.equal(model.generate(prompt, 12, temperature=0.0), expected)


def test_a_block_without_caches_is_refused_by_name() -> None:
    model, prompt = small_model().eval(), small_tokens(3)[None].long()
    model.blocks[1] = Foreign()
    with pytest.raises(TypeError, match=r"^block 1, Foreign, has no new_cache\(batch_size, length\): inherit"):
        model.generate(prompt, 1)
    assert model.generate(prompt, 2, use_cache=False).shape == (1, 5)
