"""HasAuxiliaryLoss: a part that adds a loss of its own to that of the tokens."""

from jaxtyping import Float
from torch import Tensor


class HasAuxiliaryLoss:
    """Says that a part reports a loss of its own in training, such as one that balances experts.

    Inherit it beside the interface, and call `report_loss` in `forward`. The training step adds what is reported
    to the mean loss of the tokens; metrics show it in a column of its own, and evaluations leave it out.
    """

    reported: list[Float[Tensor, ""]] | None = None
    """Collects the losses of one pass; None drops them, because no training step listens."""

    def report_loss(self, loss: Float[Tensor, ""]) -> None:
        """Report a loss of this pass, weighted as it is to count beside the mean loss of the tokens in nats."""
        if self.reported is not None:
            self.reported.append(loss)
