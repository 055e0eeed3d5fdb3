"""The static key/value cache: allocated once, written in place, its position never leaving the device."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.interfaces import LayerCache


class KVCache(LayerCache):
    """Keys and values of a fixed number of positions.

    Slot i holds position i. Slots not yet written hold zeros and must be hidden by the caller's `attn_mask`,
    so that shapes stay the same from token to token and nothing is recompiled.

    Args:
        like: A tensor whose dtype and device the cache takes.
    """

    def __init__(self, batch_size: int, n_head: int, length: int, head_width: int, *, like: Tensor) -> None:
        self.keys = like.new_zeros(batch_size, n_head, length, head_width)
        self.values = torch.zeros_like(self.keys)

    def update(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Write the keys and values of positions `start_pos`, `start_pos` + 1, …; return every slot."""
        slots = torch.arange(k.shape[2], device=k.device) + start_pos
        self.keys.index_copy_(2, slots, k)
        self.values.index_copy_(2, slots, v)
        return self.keys, self.values
