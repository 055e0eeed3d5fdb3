"""Attention: mixes information across time; and what it may need besides its input: positions, cache, mask."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gptkit.interfaces.dims import Dims
from gptkit.interfaces.position import Position


class LayerCache(ABC):
    """What one layer stores of earlier positions, usually keys and values. `Attention.new_cache` makes one."""

    @abstractmethod
    def update(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Store the keys and values of positions `start_pos`, `start_pos` + 1, …; return all stored ones."""


@dataclass(frozen=True)
class AttentionContext:
    """Where one forward pass through one layer stands. The default is a whole sequence, uncached.

    Args:
        start_pos: Position of the first token, counted from 0. A tensor when decoding, so that it stays on the
            device.
        position: The part that rotates queries and keys; None rotates nothing.
        cache: This layer's cache; None in training.
        attn_mask: True where a query attends to a key; broadcastable to (B, H, T, S). None is the causal mask.
        layer: Number of the layer, counted from 0.
        tokens: The tokens of this pass, from `start_pos` on; None if the caller has none, only vectors.
        segment_ids: Which of the texts packed into its row each token of this pass belongs to; None if each row is
            one text. `attn_mask` already separates the texts. The ids are for a part that keeps a state instead of
            scores: it starts afresh where the id changes, whereas a mask without ids hides only empty cache slots.
    """

    start_pos: int | Int[Tensor, ""] = 0
    position: Position | None = None
    cache: LayerCache | None = None
    attn_mask: Bool[Tensor, "..."] | None = None
    layer: int = 0
    tokens: Int[Tensor, "B T"] | None = None
    segment_ids: Int[Tensor, "B T"] | None = None

    @property
    def rotates(self) -> bool:
        """Whether the position rotates queries and keys; an attention that has none refuses it then."""
        return self.position is not None and type(self.position).rotate is not Position.rotate

    def rotate(
        self, q: Float[Tensor, "B H T D"], k: Float[Tensor, "B K T D"]
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B K T D"]]:
        """Rotate queries and keys by their positions."""
        return (q, k) if self.position is None else self.position.rotate(q, k, self.start_pos)

    def update(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Store keys and values in the cache and return all stored ones; without a cache, return these."""
        return (k, v) if self.cache is None else self.cache.update(k, v, self.start_pos)


class Attention(nn.Module, ABC):
    """Mixes across time. Position t reads positions up to t only."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the attention output of positions `ctx.start_pos`, `ctx.start_pos` + 1, …."""

    @abstractmethod
    def new_cache(self, batch_size: int, length: int) -> LayerCache:
        """Return an empty cache for `length` positions of `batch_size` sequences."""
