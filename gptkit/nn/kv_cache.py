"""A static key/value cache: allocated once, written in place, indexed by a position that stays on the device."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.interfaces import LayerCache


class KVCache(LayerCache):
    """Keys and values of a fixed number of positions.

    Slot i holds position i, and what was written there last. `update` returns every slot, written or not, so that
    shapes are the same for each token and nothing is recompiled. Slots not yet written hold zeros; the caller's
    `attn_mask` must hide them.

    Args:
        like: A tensor of the dtype and on the device that the cache is to have.
    """

    def __init__(self, batch_size: int, n_head: int, length: int, head_width: int, *, like: Tensor) -> None:
        self.keys = like.new_zeros(batch_size, n_head, length, head_width)
        self.values = torch.zeros_like(self.keys)

    def update(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Write the keys and values of positions `start_pos`, `start_pos` + 1, …; return every slot."""
        slots = torch.arange(k.shape[2], device=k.device) + start_pos
        # Under autocast, keys come in another dtype than the weights that the cache was made like.
        self.keys.index_copy_(2, slots, k.to(self.keys.dtype))
        self.values.index_copy_(2, slots, v.to(self.values.dtype))
        return self.keys.to(k.dtype), self.values.to(v.dtype)
