"""The static cache of keys and values."""

import pytest
import torch
from torch import Tensor

from gptkit.nn import KVCache


def numbers(T: int, start: int) -> Tensor:
    """Return different numbers in each of the T positions of two rows and three heads."""
    return torch.arange(start, start + 2 * 3 * T * 4, dtype=torch.float32).reshape(2, 3, T, 4)


@pytest.fixture
def cache() -> KVCache:
    return KVCache(2, 3, 7, 4, like=torch.zeros(()))


def test_it_starts_empty(cache: KVCache) -> None:
    assert cache.keys.shape == cache.values.shape == (2, 3, 7, 4)
    assert not cache.keys.any()
    assert not cache.values.any()


@pytest.mark.parametrize("on_device", [False, True])
def test_slot_i_holds_position_i(cache: KVCache, on_device: bool) -> None:
    k, v = numbers(5, 1), numbers(5, 1000)
    for start, end in ((0, 2), (2, 3), (3, 5)):
        start_pos = torch.tensor(start) if on_device else start
        keys, values = cache.update(k[:, :, start:end], v[:, :, start:end], start_pos)
        assert torch.equal(keys[:, :, :end], k[:, :, :end])
        assert torch.equal(values[:, :, :end], v[:, :, :end])
        assert not keys[:, :, end:].any()
        assert not values[:, :, end:].any()


def test_a_later_pass_may_write_over_an_earlier_one(cache: KVCache) -> None:
    cache.update(numbers(5, 1), numbers(5, 1), 0)
    keys, values = cache.update(numbers(2, 500), numbers(2, 700), 1)
    assert torch.equal(keys[:, :, 1:3], numbers(2, 500))
    assert torch.equal(values[:, :, 1:3], numbers(2, 700))
    assert torch.equal(keys[:, :, 3:5], numbers(5, 1)[:, :, 3:5])


def test_it_is_written_in_place(cache: KVCache) -> None:
    where = cache.keys.data_ptr(), cache.values.data_ptr()
    keys, values = cache.update(numbers(1, 1), numbers(1, 1), 6)
    assert (keys.data_ptr(), values.data_ptr()) == where


def test_there_is_no_slot_past_its_length(cache: KVCache) -> None:
    with pytest.raises(IndexError):
        cache.update(numbers(2, 1), numbers(2, 1), 6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_it_has_the_dtype_of_what_it_is_like(dtype: torch.dtype) -> None:
    cache = KVCache(2, 3, 7, 4, like=torch.zeros((), dtype=dtype))
    assert cache.keys.dtype == cache.values.dtype == dtype


def test_it_does_not_learn() -> None:
    cache = KVCache(2, 3, 7, 4, like=torch.zeros(1, requires_grad=True))
    assert not cache.keys.requires_grad
    assert not cache.values.requires_grad
