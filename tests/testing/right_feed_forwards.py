"""A right feed-forward that is easy to break in one place."""

from torch import Tensor
from torch.nn import functional as F

from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.interfaces import Dims


class InnerDroppingFeedForward(GeluFeedForward):
    """Drops of its hidden layer and of its output."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.rate = dims.dropout

    def dropped(self, hidden: Tensor) -> Tensor:
        return F.dropout(hidden, self.rate, self.training)

    def activate(self, x: Tensor) -> Tensor:
        return self.dropped(super().activate(x))
