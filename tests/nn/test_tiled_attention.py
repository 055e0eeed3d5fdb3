import pytest
import torch
from torch import Tensor

from gptkit.components.attention.fused import FusedAttention
from gptkit.components.attention.tiled import TiledAttention
from gptkit.interfaces import Dims
from gptkit.nn import SoftmaxAttention, tiled_attention as module

B, H, D = 5, 2, 4


@pytest.fixture(params=[1, 3, 7, 128])
def small_tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Make tiles so small that many of them meet, with two rows of the batch in each at most."""
    monkeypatch.setattr(module, "QUERIES", request.param)
    monkeypatch.setattr(module, "SCORES", 2 * H * min(request.param, 11) * 13)
    return int(request.param)


def attention(kind: type[SoftmaxAttention], dropout: float = 0.0) -> SoftmaxAttention:
    return kind(Dims(n_layer=1, n_head=H, n_embd=H * D, block_size=16, vocab_size=2, dropout=dropout))


def qkv(T: int, S: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(T + S)
    return tuple(torch.randn(B, H, n, D, dtype=torch.float64, requires_grad=True) for n in (T, S, S))  # type: ignore[return-value]


@pytest.mark.parametrize(("T", "S"), [(1, 1), (11, 11), (11, 13), (1, 13)])
@pytest.mark.parametrize("hides", [False, True])
def test_tiles_of_any_size_make_up_the_same_whole(small_tiles: int, T: int, S: int, hides: bool) -> None:
    inputs = qkv(T, S)
    attn_mask = torch.rand(B, 1, T, S) < 0.5 if hides else None
    if attn_mask is not None:
        attn_mask[..., 0] = True
    found, expected = (attention(kind).attend(*inputs, attn_mask) for kind in (TiledAttention, FusedAttention))
    torch.testing.assert_close(found, expected)
    gradient = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, gradient), torch.autograd.grad(expected, inputs, gradient), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_the_backward_pass_drops_what_the_forward_pass_dropped(small_tiles: int) -> None:
    part, inputs = attention(TiledAttention, dropout=0.4), qkv(11, 11)

    def drawn(*inputs: Tensor) -> Tensor:
        torch.manual_seed(7)
        return part.attend(*inputs)

    assert torch.autograd.gradcheck(drawn, inputs, fast_mode=True)


def test_nothing_of_the_size_of_the_scores_is_kept_for_the_backward_pass() -> None:
    kept = 0

    def count(x: Tensor) -> Tensor:
        nonlocal kept
        kept += x.numel()
        return x

    T = 256
    with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
        attention(TiledAttention, dropout=0.2).attend(*qkv(T, T))
    assert kept < 4 * B * H * T * D < B * H * T * T


def test_one_query_makes_no_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = qkv(1, 64)
    tiled = attention(TiledAttention, dropout=0.2)
    expected = attention(FusedAttention).attend(q, k, v)
    monkeypatch.setattr("gptkit.components.attention.tiled.attention_in_tiles", lambda *_: pytest.fail("it did"))
    torch.testing.assert_close(tiled.eval().attend(q, k, v), expected)
