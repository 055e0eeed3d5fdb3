import torch

from gptkit.components.norm.rmsnorm import RMSNorm
from tests.small import small_dims


def test_each_position_gets_root_mean_square_1_then_gain() -> None:
    norm = RMSNorm(small_dims(), eps=0.1).double()
    torch.nn.init.normal_(norm.norm.weight)
    x = 3 * torch.randn(2, 5, 8).double() + 1
    mean_square = (x * x).sum(-1, keepdim=True) / 8
    torch.testing.assert_close(norm(x), norm.norm.weight * x / (mean_square + 0.1).sqrt())


def test_it_has_a_gain_and_nothing_else() -> None:
    assert [name for name, _ in RMSNorm(small_dims()).named_parameters()] == ["norm.weight"]
