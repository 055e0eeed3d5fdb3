"""A static key/value cache: allocated once, written in place, indexed by a position that stays on the device."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.interfaces import KeyValueCache
from gptkit.nn.slots import write_slots


class KVCache(KeyValueCache):
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
        positions = torch.arange(k.shape[2], device=k.device) + start_pos
        return write_slots(self.keys, positions, k), write_slots(self.values, positions, v)
