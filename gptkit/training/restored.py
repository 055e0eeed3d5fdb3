"""Undoes what a trial pass does to a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def restored(model: nn.Module) -> Iterator[None]:
    """Put back every parameter, buffer and gradient that changes inside, bit for bit.

    A part with running statistics, for example, updates its buffers in every forward pass in train mode. Holds a
    copy of the weights meanwhile, which is no more than the state that AdamW or Muon allocates in its first step.
    """
    held: list[tuple[Any, str, Tensor | None]] = [
        (module, name, buffer)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    held += [(weight, "grad", weight.grad) for weight in model.parameters()]
    tensors = [*model.parameters(), *(tensor for _, _, tensor in held if tensor is not None)]
    values = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        # A part may also have replaced a buffer instead of writing to it.
        for owner, name, tensor in held:
            setattr(owner, name, tensor)
        with torch.no_grad():
            for changed, value in zip(tensors, values, strict=True):
                changed.copy_(value)
