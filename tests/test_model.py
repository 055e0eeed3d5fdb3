from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.attention.sdpa import SdpaAttention
from gptkit.components.position.learned import LearnedPosition
from gptkit.components.position.rope import RopePosition
from gptkit.interfaces import AttentionContext, ConstantSizeCache, Position
from gptkit.model import check_segments
from gptkit.nn import SoftmaxAttention
from gptkit.nn.activation_checkpointing import checkpoint_activations
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


def test_empty_slots_are_hidden_only_where_there_are_slots() -> None:
    model = small_model()
    slots, state = model.new_caches(2)[0], ConstantSizeCache()
    hidden, none = model.contexts(torch.zeros(2, 3, dtype=torch.int64), torch.tensor(4), [slots, state])
    assert hidden.attn_mask is not None
    assert hidden.attn_mask.sum(dim=-1).tolist() == [5, 6, 7]
    assert none.attn_mask is None
    assert none.cache is state
    assert none.start_pos == hidden.start_pos == 4


def test_a_block_without_caches_is_refused_by_name() -> None:
    model, prompt = small_model().eval(), small_tokens(3)[None].long()
    model.blocks[1] = Foreign()
    with pytest.raises(TypeError, match=r"^block 1, Foreign, has no new_cache\(batch_size, length\): inherit"):
        model.generate(prompt, 1)
    assert model.generate(prompt, 2, use_cache=False).shape == (1, 5)


class Listening(SdpaAttention):
    """Remembers the contexts that it was given."""

    heard: list[AttentionContext]

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        self.heard.append(ctx)
        return super().forward(x, ctx)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[AttentionContext]:
    """Collect the contexts of every pass through `Listening`."""
    found: list[AttentionContext] = []
    monkeypatch.setattr(Listening, "heard", found, raising=False)
    return found


@pytest.mark.parametrize("checkpointed", [False, True])
def test_an_attention_is_told_its_layer_and_its_tokens(heard: list[AttentionContext], checkpointed: bool) -> None:
    model, tokens = small_model(Listening, n_layer=3), small_tokens(8)[None].long()
    checkpoint_activations(model.blocks, checkpointed)
    model(tokens)
    assert [ctx.layer for ctx in heard] == [0, 1, 2]
    assert all(ctx.tokens is not None and ctx.tokens.equal(tokens) for ctx in heard)
    assert all(ctx.segment_ids is None and ctx.attn_mask is None for ctx in heard)


def test_an_attention_that_decodes_is_told_the_tokens_of_each_pass(heard: list[AttentionContext]) -> None:
    model, tokens = small_model(Listening).eval(), torch.tensor([[3, 4, 5]])
    written = model.generate(tokens, 2, temperature=0.0)
    assert [ctx.layer for ctx in heard] == [0, 1] * 2
    passes = [ctx.tokens for ctx in heard[::2] if ctx.tokens is not None]
    assert [each.tolist() for each in passes] == [[[3, 4, 5]], written[:, 3:4].tolist()]


@pytest.mark.parametrize("attention", [NaiveAttention, SdpaAttention])
@pytest.mark.parametrize("position", [LearnedPosition, RopePosition])
def test_texts_packed_into_a_row_give_what_each_gives_alone(
    attention: type[SoftmaxAttention], position: type[Position]
) -> None:
    model, tokens = small_model(attention, position).double(), small_tokens(16).view(2, 8).long()
    segment_ids = torch.tensor([[7, 7, 7, 2, 2, 2, 2, 2], [0, 0, 0, 0, 0, 0, 1, 1]])
    packed = model(tokens, segment_ids=segment_ids)
    for row, length in ((0, 3), (1, 6)):
        first, second = tokens[row, :length], tokens[row, length:]
        # The second text keeps the positions that it has in the row.
        alone = torch.cat((model(first[None]), model(second[None], length)), dim=1)
        torch.testing.assert_close(packed[row], alone[0])


def test_an_attention_is_told_which_tokens_are_of_one_text(heard: list[AttentionContext]) -> None:
    segment_ids = torch.tensor([[0, 0, 1]])
    small_model(Listening)(torch.tensor([[3, 4, 5]]), segment_ids=segment_ids)
    assert all(ctx.segment_ids is segment_ids for ctx in heard)
    expected = [[True, False, False], [True, True, False], [False, False, True]]
    assert all(ctx.attn_mask is not None and ctx.attn_mask.tolist() == [[expected]] for ctx in heard)


def test_segment_ids_of_another_shape_are_refused() -> None:
    message = r"^segment_ids has the shape \(3,\), expected that of tokens, \(1, 3\)$"
    with pytest.raises(ValueError, match=message):
        check_segments(torch.zeros(3, dtype=torch.int64), torch.zeros(1, 3, dtype=torch.int64), None)


def test_segment_ids_beside_caches_are_refused() -> None:
    model, tokens = small_model(), torch.zeros(1, 3, dtype=torch.int64)
    message = "^segment_ids cannot be given with caches, which hold one text a row: pass one of them$"
    with pytest.raises(ValueError, match=message):
        model(tokens, 0, model.new_caches(1), segment_ids=tokens)
