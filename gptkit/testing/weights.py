"""Weights at which a mistake shows."""

import math

import torch
from torch import nn

from gptkit.testing.case import Case


def draw_weights(part: nn.Module, case: Case) -> None:
    """Draw matrices that halve the scale of what they multiply, and move all else a little from where it starts.

    With the small matrices of a new part all keys weigh nearly the same, and hardly a mistake would show; with
    larger ones half precision could not tell the scores apart. A bias of zero or a gain of one hides mistakes too.
    """
    with torch.no_grad():
        for name, weight in part.named_parameters():
            drawn = case.draw(name, *weight.shape)
            if weight.ndim > 1:
                weight.copy_(drawn / (2 * math.sqrt(weight.shape[-1])))
            else:
                weight.add_(drawn / 4)
