import torch

from gptkit.components.norm.layernorm import LayerNorm
from tests.small import small_dims


def test_each_position_gets_mean_0_and_variance_1_then_gain_and_bias() -> None:
    norm = LayerNorm(small_dims(), eps=0.1).double()
    torch.nn.init.normal_(norm.norm.weight)
    torch.nn.init.normal_(norm.norm.bias)
    x = 3 * torch.randn(2, 5, 8).double() + 1
    centred = x - x.sum(-1, keepdim=True) / 8
    variance = (centred * centred).sum(-1, keepdim=True) / 8
    expected = norm.norm.weight * centred / (variance + 0.1).sqrt() + norm.norm.bias
    torch.testing.assert_close(norm(x), expected)


def test_it_begins_without_gain_or_shift() -> None:
    y = LayerNorm(small_dims())(torch.randn(2, 5, 8))
    torch.testing.assert_close(y.mean(-1), torch.zeros(2, 5), atol=1e-6, rtol=0)
    torch.testing.assert_close(y.var(-1, correction=0), torch.ones(2, 5), atol=1e-3, rtol=0)


def test_the_bias_can_be_left_out() -> None:
    assert [name for name, _ in LayerNorm(small_dims(), bias=False).named_parameters()] == ["norm.weight"]
