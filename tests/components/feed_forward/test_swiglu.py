import pytest
import torch

from gptkit.components.feed_forward.relu import ReluFeedForward
from gptkit.components.feed_forward.swiglu import SwigluFeedForward
from tests.small import small_dims


def test_it_gates_one_layer_by_the_silu_of_another_and_narrows() -> None:
    part = SwigluFeedForward(small_dims()).double()
    x = 30 * torch.randn(2, 5, 8).double()
    gate_weight, value_weight = part.gate_and_value.weight.chunk(2)
    gate, value = x @ gate_weight.T, x @ value_weight.T
    torch.testing.assert_close(part(x), gate / (1 + torch.exp(-gate)) * value @ part.narrow.weight.T)


@pytest.mark.parametrize("n_embd", [48, 96, 384])
def test_the_same_expand_costs_as_much_as_two_matrices_do(n_embd: int) -> None:
    dims = small_dims(n_embd=n_embd)
    ours = sum(weight.numel() for weight in SwigluFeedForward(dims).parameters())
    assert ours == sum(weight.numel() for weight in ReluFeedForward(dims, bias=False).parameters())


@pytest.mark.parametrize("n_embd", [8, 10, 34])
def test_the_width_is_rounded_up_to_a_multiple_of_8(n_embd: int) -> None:
    width = SwigluFeedForward(small_dims(n_embd=n_embd)).narrow.in_features
    assert width % 8 == 0
    assert 0 <= width - 8 * n_embd / 3 < 8
