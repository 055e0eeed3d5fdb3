"""Dropout with cheap random bits, on a CPU; PyTorch's own elsewhere.

PyTorch draws a 64-bit number from a serial Mersenne twister for each element. Sixteen bits decide as well, so one
draw serves four elements, and SFC64 draws in half the time. In a step of `gpt_small` the draws took 2.1 of 8.5
seconds, and take 0.2.
"""

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 2**16
LOWEST = -(2**15)  # of 16 bits, read as a signed number
# Outside these a rate is further than 1% from the nearest multiple of 1/LEVELS, or no rate at all.
FINEST, COARSEST = 100 / LEVELS, 1 - 100 / LEVELS


class Dropout(nn.Module):
    """Zeroes each element with probability `p` in training, and scales the others so that the mean stays.

    Source:
        Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return what is kept."""
        return dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        """Return the rate, for whoever prints the model."""
        return f"p={self.p}"


def dropout(x: Float[Tensor, "..."], p: float, training: bool) -> Float[Tensor, "..."]:
    """Return `x`, in training with each element zeroed with probability `p` and the others scaled by 1 / (1 - p).

    The draws are PyTorch's, so that its seed decides them.
    """
    if not training or p == 0:
        return x
    # Compiled, the draws must be known as such, so that a pass that is computed again repeats them.
    if x.device.type != "cpu" or torch.compiler.is_compiling() or not FINEST <= p <= COARSEST:
        return F.dropout(x, p)
    dropped = round(p * LEVELS)
    # In place: fresh memory costs more than the product.
    return (x * keep(x, dropped)).mul_(LEVELS / (LEVELS - dropped))


def keep(
    x: Float[Tensor, "..."],
    dropped: int,
    generator: torch.Generator | None = None,
    *,
    dtype: torch.dtype = torch.int8,
) -> Num[Tensor, "..."]:
    """Return 1 for each element of something like `x` that stays, and 0 for the others.

    Args:
        dropped: How many of `LEVELS` equally likely draws drop an element.
        generator: PyTorch's, which gives the seed; its own by default.
        dtype: Of the result. One byte is little to keep for a backward pass, and not a Boolean one, with which a
            product takes twice as long.
    """
    seed = torch.randint(2**63 - 1, (), generator=generator)
    bits = random_bits(-(-x.numel() // 4), seed).view(torch.int16)[: x.numel()].view(x.shape)
    return torch.ge(bits, LOWEST + dropped, out=torch.empty(x.shape, dtype=dtype))


# An operator, so that a step can be gone through with tensors that hold no numbers, such as a seed.
@torch.library.custom_op("gptkit::random_bits", mutates_args=())
def random_bits(words: int, seed: Tensor) -> Tensor:
    """Return as many 64-bit words of random bits.

    Source:
        Doty-Humphrey, PractRand 0.94 (SFC64, as NumPy has it).
    """
    return torch.from_numpy(np.random.SFC64(int(seed)).random_raw(words).view(np.int64))


@random_bits.register_fake
def words_like(words: int, seed: Tensor) -> Tensor:
    """Return as many words, that say nothing."""
    return seed.new_empty(words, dtype=torch.int64)
