"""Optimizer: updates the weights."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class ParameterGroups:
    """A model's parameters by role, because optimizers treat roles differently. Each is in exactly one group.

    Args:
        matrices: Parameters of the blocks with two or more axes.
        embeddings: All other parameters with two or more axes: token and position embeddings, and the head.
        vectors: Biases and gains.
    """

    matrices: list[nn.Parameter]
    embeddings: list[nn.Parameter]
    vectors: list[nn.Parameter]


class Optimizer(ABC):
    """Builds a `torch.optim.Optimizer`. The schedule scales the `lr` of each of its parameter groups."""

    @abstractmethod
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        """Build an optimizer of all parameters in the groups."""
