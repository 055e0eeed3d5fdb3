"""Writing into a static cache: one slot for each position, found by a position that stays on the device."""

from jaxtyping import Float, Int
from torch import Tensor


def write_slots(
    slots: Float[Tensor, "*axes S D"], positions: Int[Tensor, " T"], x: Float[Tensor, "*axes T D"]
) -> Float[Tensor, "*axes S D"]:
    """Write the vectors of some positions into their slots, in place; return every slot in the dtype of `x`."""
    # Under autocast, `x` comes in another dtype than the weights that the cache was made like.
    slots.index_copy_(-2, positions, x.to(slots.dtype))
    return slots.to(x.dtype)
