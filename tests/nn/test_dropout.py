import copy

import pytest
import torch
from torch.nn import functional as F

from gptkit.nn.dropout import Dropout, dropout, keep_mask

RATES = [1e-5, 0.001, 0.1, 0.2, 0.5, 0.9, 0.999, 1.0]


def test_it_does_nothing_in_evaluation_or_at_a_rate_of_zero() -> None:
    x = torch.randn(100)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x


@pytest.mark.parametrize("p", RATES)
def test_its_rate_is_within_four_standard_deviations_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(0)
    n = 4_000_000
    y = dropout(torch.ones(n), p, training=True)
    dropped = int((y == 0).sum())
    assert abs(dropped - p * n) <= 4 * (n * p * (1 - p)) ** 0.5
    kept = y[y != 0]
    assert (kept == kept[:1]).all()
    if len(kept):
        # The rate is a multiple of 2 to the -16, and the scale is that rate's own.
        torch.testing.assert_close(kept[0], torch.tensor(1 / (1 - p)), rtol=0.02 if p > 0.99 else 1e-4, atol=0)


@pytest.mark.parametrize("numbers", [1, 2, 3, 5, 4096])
def test_any_number_of_elements_is_served(numbers: int) -> None:
    assert dropout(torch.ones(numbers), 0.5, training=True).shape == (numbers,)


def test_the_four_decisions_of_a_draw_are_independent() -> None:
    n = 1 << 20
    kept = keep_mask(torch.empty(n, 4), 2**15, torch.Generator().manual_seed(0)).float()
    correlations = torch.corrcoef(kept.T) - torch.eye(4)
    assert correlations.abs().max() < 4 / n**0.5
    neighbours = torch.corrcoef(torch.stack([kept.flatten()[:-1], kept.flatten()[1:]]))[0, 1]
    assert abs(neighbours) < 4 / (4 * n) ** 0.5


def test_the_seed_decides_it() -> None:
    x = torch.ones(1000)

    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return dropout(x, 0.5, training=True)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_another_seed_is_another_draw_and_the_next_one_too() -> None:
    generator = torch.Generator().manual_seed(1)
    first, second = (keep_mask(torch.empty(1 << 16), 2**15, generator).float() for _ in range(2))
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 4 / 2**8


@pytest.mark.parametrize("dtype", [torch.int8, torch.float32, torch.bfloat16])
def test_what_stays_is_one_and_what_does_not_is_zero(dtype: torch.dtype) -> None:
    kept = keep_mask(torch.empty(3, 5), 2**15, torch.Generator().manual_seed(0), dtype=dtype)
    assert (kept.shape, kept.dtype) == ((3, 5), dtype)
    assert set(kept.flatten().tolist()) == {0, 1}


def test_the_gradient_passes_where_the_element_stayed() -> None:
    x = torch.randn(1000, requires_grad=True)
    y = dropout(x, 0.3, training=True)
    y.sum().backward()
    torch.testing.assert_close(x.grad, (y / x).detach(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_it_keeps_the_dtype_and_the_input(dtype: torch.dtype) -> None:
    x = torch.randn(1000, dtype=dtype)
    before = x.clone()
    assert dropout(x, 0.2, training=True).dtype == dtype
    assert torch.equal(x, before)


def test_a_rate_that_sixteen_bits_cannot_tell_is_torchs_own() -> None:
    x = torch.ones(1000)
    torch.manual_seed(0)
    ours = dropout(x, 1e-4, training=True)
    torch.manual_seed(0)
    assert torch.equal(ours, F.dropout(x, 1e-4))


def test_the_module_follows_its_mode_and_says_its_rate() -> None:
    module, x = Dropout(0.25), torch.ones(1000)
    assert (module(x) == 0).any()
    assert module.eval()(x) is x
    assert repr(module) == "Dropout(p=0.25)"
    assert copy.deepcopy(module).p == 0.25
