import torch

from gptkit.components.feed_forward.relu2 import Relu2FeedForward
from tests.small import small_dims


def test_it_widens_cuts_below_zero_squares_and_narrows() -> None:
    part = Relu2FeedForward(small_dims()).double()
    x = 30 * torch.randn(2, 5, 8).double()
    hidden = x @ part.widen.weight.T + part.widen.bias
    hidden[hidden < 0] = 0
    torch.testing.assert_close(part(x), hidden**2 @ part.narrow.weight.T + part.narrow.bias)
