import pytest
import torch


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Make this machine one that has the devices named by the parameter, and no others."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in request.param)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a fast card")
    generation = (9, 0) if "bf16" in request.param else (7, 5)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: generation)
    has_bf16 = bool({"bf16", "emulated bf16"} & set(request.param))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bf16)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in request.param)


def machine(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("devices", [names], indirect=True, ids=[" and ".join(["cpu", *names])])
