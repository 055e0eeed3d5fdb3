"""A part is held to what it does, not to what PyTorch has to say about a law, where warnings are errors."""

import warnings

import pytest
import torch

from gptkit.testing.laws.compile import quiet_compiler
from gptkit.testing.laws.state import uninitialised_is_nan


def warn(module: str) -> None:
    warnings.warn_explicit("enable TensorFloat32", UserWarning, "a file", 1, module)


def test_the_compilers_advice_is_no_error_and_a_parts_own_warning_is() -> None:
    with quiet_compiler():
        warn("torch._inductor.compile_fx")
        with pytest.raises(UserWarning, match=r"^enable TensorFloat32$"):
            warn("a_part")


def test_an_operation_without_a_deterministic_way_is_no_error_where_memory_is_filled() -> None:
    def put() -> None:
        torch.zeros(3).put_(torch.tensor([1]), torch.ones(1))

    with uninitialised_is_nan():
        assert torch.empty(3).isnan().all()
        put()
        with pytest.raises(UserWarning, match=r"^enable TensorFloat32$"):
            warn("a_part")
    assert not torch.are_deterministic_algorithms_enabled()
    put()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with pytest.raises(UserWarning, match=r"^put_ does not have a deterministic"):
            put()
    finally:
        torch.use_deterministic_algorithms(False)
