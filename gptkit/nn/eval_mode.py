"""A model looked at rather than trained: dropout off, no gradients."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model in eval mode without gradients, and back each part of it as it was."""
    trained = [module for module in model.modules() if module.training]
    if trained:
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in trained:
            module.training = True
