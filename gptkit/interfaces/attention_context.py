"""Where the tokens of one pass stand, and what a layer keeps of those before them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from gptkit.interfaces.position import Position


class LayerCache(ABC):
    """What one layer keeps of the keys and values it has seen."""

    @abstractmethod
    def update(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Keep the keys and values of positions `start_pos`, `start_pos` + 1, …; return all that is kept."""


@dataclass(frozen=True)
class AttentionContext:
    """Where the tokens of one pass stand, for one layer. The default is a sequence's own start.

    Args:
        start_pos: Position of the first token, counted from 0; a tensor where it must stay on the device.
        position: The part that turns this model's queries and keys.
        cache: What this layer keeps of earlier passes; none in training.
        attn_mask: Which key each query sees; None is the causal rule.
    """

    start_pos: int | Int[Tensor, ""] = 0
    position: Position | None = None
    cache: LayerCache | None = None
    attn_mask: Bool[Tensor, "..."] | None = None

    def rotate(
        self, q: Float[Tensor, "B H T D"], k: Float[Tensor, "B K T D"]
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B K T D"]]:
        """Turn queries and keys by where they stand."""
        return (q, k) if self.position is None else self.position.rotate(q, k, self.start_pos)

    def update(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Return these keys and values behind those of earlier passes, and keep them for later ones."""
        return (k, v) if self.cache is None else self.cache.update(k, v, self.start_pos)
