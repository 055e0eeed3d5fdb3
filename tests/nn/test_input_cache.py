"""The static cache of a layer's inputs."""

import pytest
import torch

from gptkit.nn import InputCache


@pytest.mark.parametrize("on_device", [False, True])
def test_slot_i_holds_position_i(on_device: bool) -> None:
    cache = InputCache(2, 6, 3, like=torch.zeros(()))
    x = 1 + torch.arange(2 * 5 * 3, dtype=torch.float32).reshape(2, 5, 3)
    for start, end in ((0, 2), (2, 3), (3, 5)):
        inputs = cache.update(x[:, start:end], torch.tensor(start) if on_device else start)
        assert torch.equal(inputs[:, :end], x[:, :end])
        assert not inputs[:, end:].any()
    assert inputs.data_ptr() == cache.inputs.data_ptr()


def test_it_is_given_other_dtypes_and_returns_them() -> None:
    cache = InputCache(1, 2, 3, like=torch.zeros(()))
    assert cache.update(torch.ones(1, 1, 3, dtype=torch.bfloat16), 1).dtype == torch.bfloat16
    assert cache.inputs.dtype == torch.float32
