"""What changes the weights."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class ParameterGroups:
    """A model's parameters by what they do, because optimizers treat them apart.

    Args:
        matrices: Weights of the blocks with two or more axes.
        embeddings: Every other weight with two or more axes: tables of tokens and positions, and the head.
        vectors: Biases and gains.
    """

    matrices: list[nn.Parameter]
    embeddings: list[nn.Parameter]
    vectors: list[nn.Parameter]


class Optimizer(ABC):
    """Makes a `torch.optim.Optimizer` for a model's parameters. The schedule scales each group's rate."""

    @abstractmethod
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        """Return an optimizer of all the parameters in the groups."""
