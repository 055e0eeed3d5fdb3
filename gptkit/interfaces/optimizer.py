"""Optimizer: updates the weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ParameterGroups:
    """A model's parameters by role, because optimizers treat roles differently. Each is in exactly one group.

    Args:
        matrices: Parameters of the blocks with two or more axes.
        embeddings: All other parameters with two or more axes: token and position embeddings, and the head.
        vectors: Biases and gains.
        packed: The number of rows of each matrix that a parameter stacks along its first axis, for those of
            `matrices` that stack several.
    """

    matrices: list[nn.Parameter]
    embeddings: list[nn.Parameter]
    vectors: list[nn.Parameter]
    packed: Mapping[Tensor, Sequence[int]] = field(default_factory=dict)


class HasPackedWeights(ABC):
    """Says that a part keeps several matrices in one parameter, for one large product in place of several.

    Inherit it beside the interface. An optimizer that treats a matrix as a whole, such as Muon, then updates each
    as if it were a parameter of its own.
    """

    @abstractmethod
    def packed_rows(self) -> Mapping[Tensor, Sequence[int]]:
        """Return, for each parameter that stacks matrices along its first axis, the number of rows of each."""


class Optimizer(ABC):
    """Builds a `torch.optim.Optimizer`. The schedule scales the `lr` of each of its parameter groups.

    A kind of parameters may be empty, and matrices may have more than two axes. Matrices that are packed into one
    parameter are trained as they would be one by one.
    """

    @abstractmethod
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        """Build an optimizer of all parameters in the groups."""
