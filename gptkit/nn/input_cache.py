"""A static cache of a layer's inputs, indexed by a position that stays on the device."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.interfaces import LayerCache
from gptkit.nn.slots import write_slots


class InputCache(LayerCache):
    """A cache of layer inputs instead of keys and values, for a module that projects those itself.

    Slot i holds position i. Slots not yet written hold zeros; the caller's `attn_mask` must hide them.

    Args:
        like: A tensor of the dtype and on the device that the cache is to have.
    """

    def __init__(self, batch_size: int, length: int, n_embd: int, *, like: Tensor) -> None:
        self.inputs = like.new_zeros(batch_size, length, n_embd)

    def update(self, x: Float[Tensor, "B T C"], start_pos: int | Int[Tensor, ""]) -> Float[Tensor, "B S C"]:
        """Write the inputs of positions `start_pos`, `start_pos` + 1, …; return every slot."""
        return write_slots(self.inputs, torch.arange(x.shape[1], device=x.device) + start_pos, x)
