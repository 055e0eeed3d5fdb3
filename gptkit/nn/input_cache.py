"""A static cache of a layer's inputs, indexed by a position that stays on the device."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.interfaces import LayerCache


class InputCache(LayerCache):
    """A cache of layer inputs instead of keys and values, for a module that projects those itself.

    Slot i holds position i. Slots not yet written hold zeros; the caller's `attn_mask` must hide them.

    Args:
        like: A tensor of the dtype and on the device that the cache is to have.
    """

    def __init__(self, batch_size: int, length: int, n_embd: int, *, like: Tensor) -> None:
        self.inputs = like.new_zeros(batch_size, 1, length, n_embd)

    def update(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Write the inputs, passed as one head of keys; return every slot, as keys and as values."""
        slots = torch.arange(k.shape[2], device=k.device) + start_pos
        self.inputs.index_copy_(2, slots, k.to(self.inputs.dtype))
        inputs = self.inputs.to(k.dtype)
        return inputs, inputs
