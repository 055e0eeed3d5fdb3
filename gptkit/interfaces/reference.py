"""HasReference: names a plain part that a fast part must equal."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn


class HasReference(ABC):
    """Promises that a part computes what a slower, plainer part computes. Inherit it beside the interface.

    `gptkit.testing` checks the promise: with the same weights and input, output and gradients must be equal.
    """

    @abstractmethod
    def reference(self) -> nn.Module:
        """Build the plain part with the same sizes and options. Its weights are replaced before it is compared."""

    def reference_weights(self, own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Convert this part's weights to the reference's names and layout. Gradients flow back through this.

        By default names and layout are the same.

        Args:
            own: This part's weights by the names in its `state_dict`.
        """
        return own
