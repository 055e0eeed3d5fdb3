import math

import torch

from gptkit.components.feed_forward.gelu import GeluFeedForward
from tests.small import small_dims


def test_it_widens_gates_by_the_normal_distribution_and_narrows() -> None:
    part = GeluFeedForward(small_dims()).double()
    x = 30 * torch.randn(2, 5, 8).double()
    hidden = x @ part.widen.weight.T + part.widen.bias
    hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
    torch.testing.assert_close(part(x), hidden @ part.narrow.weight.T + part.narrow.bias)
