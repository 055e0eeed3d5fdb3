"""A position to start from: waves whose height is learnt."""

import torch
from jaxtyping import Float, Int
from pydantic import PositiveFloat
from torch import Tensor, nn

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, Position


class MinePosition(Position):
    """Adds to each embedding cosines and sines of its position, times a height that is learnt.

    Change: what `embed` adds to the embeddings; to rotate queries and keys instead, or as well, override `rotate`.
    The options are the keyword-only, annotated parameters of the constructor.

    Promised: tokens get the same whether they pass together or a few at a time, the first of them at position
    `start_pos`, which may be a tensor, so that it need not leave the device.

    Args:
        height: Where the learnt height begins. 0.02 is the size of a new embedding.
    """

    waves: Tensor

    def __init__(self, dims: Dims, *, height: PositiveFloat = 0.02) -> None:
        super().__init__(dims)
        self.height = nn.Parameter(torch.tensor(height))
        channels = torch.arange(dims.n_embd)
        rates = 10_000.0 ** (-(channels - channels % 2) / dims.n_embd)
        angles = torch.arange(dims.block_size)[:, None] * rates  # (block_size, C)
        # Not persistent: a checkpoint need not hold what these four lines compute.
        self.register_buffer("waves", torch.where(channels % 2 == 0, angles.cos(), angles.sin()), persistent=False)

    def embed(self, x: Float[Tensor, "B T C"], start_pos: int | Int[Tensor, ""]) -> Float[Tensor, "B T C"]:
        """Add the waves at positions `start_pos`, `start_pos` + 1, …."""
        positions = torch.arange(x.shape[1], device=x.device) + start_pos
        return x + (self.height * self.waves[positions]).to(x.dtype)  # (B, T, C) + (T, C)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MinePosition)
