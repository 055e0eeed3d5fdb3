"""Weights at which mistakes show."""

import math

import torch
from torch import nn

from gptkit.testing.case import Case


def draw_weights(part: nn.Module, case: Case) -> None:
    """Draw matrices that halve the scale of their input, and shift all other weights a little.

    With the small initial matrices all keys weigh nearly the same, and most mistakes would not show; with larger
    ones half precision could not tell the scores apart. A bias of 0 or a gain of 1 hides mistakes, too.
    """
    with torch.no_grad():
        for name, weight in part.named_parameters():
            drawn = case.draw(name, *weight.shape)
            if weight.ndim > 1:
                weight.copy_(drawn / (2 * math.sqrt(weight.shape[-1])))
            else:
                weight.add_(drawn / 4)
