"""Attention: mixes information across time; and what it may need besides its input: positions, cache, mask."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gptkit.interfaces.dims import Dims
from gptkit.interfaces.position import Position


class LayerCache:
    """What one layer stores of earlier positions. `Attention.new_cache` makes one.

    A subclass has tensors of any kind as attributes: keys and values, a recurrent state, the tail of a
    convolution, latents. A pass writes into the tensors or replaces them. Decoders make passes in order, each from
    where the one before it ended; a `KVCache` or `InputCache` also takes a position again, and then replaces it.

    A step is compiled, and captured as a CUDA graph, as a function that reads and writes these tensors. So all
    that changes is in them, they keep their shapes, and no two share storage. Decoders refuse other caches.
    """


class KeyValueCache(LayerCache, ABC):
    """A cache of keys and values, for an attention that calls `AttentionContext.update`."""

    @abstractmethod
    def update(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Store the keys and values of positions `start_pos`, `start_pos` + 1, …; return all stored ones."""


class ConstantSizeCache(LayerCache):
    """A cache whose size does not depend on the number of positions: a recurrent state, or the last few positions.

    It has no slot for each position, so a decoder has no empty slots to hide: beside it, `attn_mask` is None.
    """


@dataclass(frozen=True)
class AttentionContext:
    """Where one forward pass through one layer stands. The default is a whole sequence, uncached.

    Args:
        start_pos: Position of the first token, counted from 0. A tensor when decoding, so that it stays on the
            device.
        position: The part that rotates queries and keys; None rotates nothing.
        cache: This layer's cache; None in training.
        attn_mask: True where a query attends to a key; broadcastable to (B, H, T, S), where S is the number of
            slots if there is a cache. None is the causal mask.
        layer: Number of the layer, counted from 0.
        tokens: The tokens of this pass, from `start_pos` on; None if the caller has none, only vectors.
        segment_ids: Which of the texts packed into its row each token of this pass belongs to; None if each row is
            one text. `attn_mask` already separates the texts. The ids are for a part that keeps a state instead of
            scores: it starts afresh where the id changes.
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
        """Store keys and values in the cache and return all stored ones; without a cache, return these.

        Raises:
            TypeError: If the cache is not one of keys and values.
        """
        if self.cache is None:
            return k, v
        if not isinstance(self.cache, KeyValueCache):
            raise TypeError(
                f"ctx.update stores keys and values, and {type(self.cache).__name__} is no KeyValueCache: inherit "
                "that, or read and write the cache's own tensors"
            )
        return self.cache.update(k, v, self.start_pos)


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


class RecurrentAttention(Attention):
    """Mixes across time through a state of constant size, instead of keys that each query weighs.

    To inherit this class is to promise such a state, and to have no keys, of which a mask could hide any. So
    `forward` raises NotImplementedError if `ctx.attn_mask` is given without `ctx.segment_ids`. With these, the
    mask is theirs, and the state starts afresh where the id changes.
    """

    @abstractmethod
    def new_cache(self, batch_size: int, length: int) -> ConstantSizeCache:
        """Return the state before the first position of `batch_size` sequences, of any `length`."""
