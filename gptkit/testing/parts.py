"""Parts for a block that is checked by itself, without a recipe."""

from gptkit.interfaces import Attention, Dims, FeedForward, Norm, Parts
from gptkit.testing.case import Build


class GivenParts(Parts):
    """Builds a block's parts from their classes.

    Args:
        attention: Builds the attention of the block; the others likewise.
    """

    def __init__(
        self, dims: Dims, attention: Build[Attention], feed_forward: Build[FeedForward], norm: Build[Norm]
    ) -> None:
        self.dims = dims
        self.builds = (attention, feed_forward, norm)

    def attention(self) -> Attention:
        """Return a new attention."""
        return self.builds[0](self.dims)

    def feed_forward(self) -> FeedForward:
        """Return a new feed-forward."""
        return self.builds[1](self.dims)

    def norm(self) -> Norm:
        """Return a new norm."""
        return self.builds[2](self.dims)
