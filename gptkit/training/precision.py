"""The precisions that a recipe may name, and autocast to them."""

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, dtype: str) -> torch.autocast:
    """Return the context in which matrix products are computed in a recipe's dtype; fp32 leaves autocast off."""
    return torch.autocast(device.type, DTYPES[dtype], enabled=dtype != "fp32")
