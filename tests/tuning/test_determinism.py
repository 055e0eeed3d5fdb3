import os

import pytest
import torch

from gptkit.tuning.determinism import deterministic


def state() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


@pytest.mark.parametrize("before", [None, ":16:8"])
def test_deterministic_algorithms_are_asked_of_torch_and_of_cublas(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.setattr(os, "environ", {"CUBLAS_WORKSPACE_CONFIG": before} if before else {})
    with deterministic(True):
        assert state() == (True, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == (before or ":4096:8")
    assert state() == (False, False)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_earlier_setting_comes_back_even_after_an_error(wanted: bool) -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with pytest.raises(ZeroDivisionError), deterministic(wanted):
            raise ZeroDivisionError
        assert state() == (True, True)
    finally:
        torch.use_deterministic_algorithms(False)
