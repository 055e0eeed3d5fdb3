"""What names the slow part that another one must equal."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn


class HasReference(ABC):
    """A promise that a part adds to its interface: to compute what a slower, plainer part computes.

    `gptkit.testing` holds the part to it: same weights, same input, equal output and equal gradients.
    """

    @abstractmethod
    def reference(self) -> nn.Module:
        """Return the plain part, for the same sizes and with the same options; its weights do not matter."""

    def reference_weights(self, own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return weights of this part by the names and in the layout that the reference has for them.

        Gradients flow back through it. By default both have the same names and layout.

        Args:
            own: By the names of this part's `state_dict`.
        """
        return own
