"""Chooses the device, and says why."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

Value = TypeVar("Value")


@dataclass(frozen=True)
class Decision(Generic[Value]):
    """What was chosen, and why."""

    value: Value
    reason: str


def choose_device(wanted: str) -> Decision[torch.device]:
    """Return the device that a recipe wants, or the fastest there is where it says `auto`.

    Raises:
        ValueError: If that device is not here.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        if cuda:
            return Decision(torch.device("cuda"), f"this machine has {torch.cuda.get_device_name()}")
        if mps:
            return Decision(torch.device("mps"), "this machine has Apple's GPU and no CUDA device")
        return Decision(torch.device("cpu"), "this machine has no CUDA device")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ValueError(f"PyTorch knows no device '{wanted}'. Use auto, cpu, cuda, cuda:0 or mps") from None
    cards = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if cuda else []
    here = ["cpu", *cards, *["mps"] * mps]
    if (f"cuda:{device.index or 0}" if device.type == "cuda" else device.type) not in here:
        raise ValueError(f"this machine has no device '{wanted}'. It has: {', '.join(here)}")
    return Decision(device, "the recipe says so")
