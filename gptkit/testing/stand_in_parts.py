"""Parts that stand in for the rest of a model when one part is checked by itself."""

from collections.abc import Mapping

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.interfaces import BlockParts, HasReference, Position

# The parts with which a block is checked.
PLAIN_PARTS = BlockParts(NaiveAttention, GeluFeedForward, LayerNorm)


class PositionPass(nn.Module):
    """A position as a module from (B, T, C) to (B, T, C), so that the laws of modules apply to it."""

    def __init__(self, position: Position, n_head: int) -> None:
        super().__init__()
        self.position, self.n_head = position, n_head

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return the embeddings plus twice the rotated queries less half the rotated keys, all from `x`."""
        heads = rearrange(x, "B T (H D) -> B H T D", H=self.n_head)
        q, k = self.position.rotate(heads, heads, 0)
        return self.position.embed(x, 0) + rearrange(2 * q - k / 2, "B H T D -> B T (H D)")

    def reference(self) -> "PositionPass":
        """Return the position's reference, wrapped in the same way."""
        assert isinstance(self.position, HasReference)
        plain = self.position.reference()
        assert isinstance(plain, Position)
        return PositionPass(plain, self.n_head)

    def reference_weights(self, own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the weights in the layout of the position's reference."""
        assert isinstance(self.position, HasReference)
        bare = {name.removeprefix("position."): weight for name, weight in own.items()}
        return {f"position.{name}": weight for name, weight in self.position.reference_weights(bare).items()}


class PositionByScale(Position):
    """Scales queries and keys by a function of their position; works at any head width."""

    def rotate(
        self, q: Float[Tensor, "B H T D"], k: Float[Tensor, "B K T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B K T D"]]:
        """Return queries scaled along a sine and keys along a cosine of the position."""
        positions = (torch.arange(q.shape[2], device=q.device) + start_pos)[:, None].to(q.dtype)  # (T, 1)
        return q * (1 + positions.sin() / 2), k * (1 + positions.cos() / 2)
