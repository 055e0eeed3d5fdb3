"""Evaluation mode: dropout off, no gradients."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model in eval mode without gradients; afterwards restore the mode of each submodule."""
    in_training = [module for module in model.modules() if module.training]
    if in_training:
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in in_training:
            module.training = True
