"""A position to start from: sinusoids with a learned amplitude."""

import torch
from jaxtyping import Float, Int
from pydantic import PositiveFloat
from torch import Tensor, nn

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, Position


class MinePosition(Position):
    """Adds cosines and sines of its position to each embedding, times a learned amplitude.

    Change: what `embed` adds to the embeddings. To rotate queries and keys instead, or as well, override `rotate`.
    Your own options are keyword-only, annotated parameters of the constructor.

    Promised: a token gets the same encoding whether the text comes in one pass or in several. The first token of a
    pass stands at position `start_pos`, which may be a tensor, so that it need not leave the device.

    Args:
        amplitude: Initial value. 0.02 is the size of a new embedding.
    """

    waves: Tensor

    def __init__(self, dims: Dims, *, amplitude: PositiveFloat = 0.02) -> None:
        super().__init__(dims)
        self.amplitude = nn.Parameter(torch.tensor(amplitude))
        channels = torch.arange(dims.n_embd)
        rates = 10_000.0 ** (-(channels - channels % 2) / dims.n_embd)
        angles = torch.arange(dims.block_size)[:, None] * rates  # (block_size, C)
        # Not persistent: recomputed, so not stored in checkpoints.
        self.register_buffer("waves", torch.where(channels % 2 == 0, angles.cos(), angles.sin()), persistent=False)

    def embed(self, x: Float[Tensor, "B T C"], start_pos: int | Int[Tensor, ""]) -> Float[Tensor, "B T C"]:
        """Add the sinusoids of positions `start_pos`, `start_pos` + 1, …."""
        positions = torch.arange(x.shape[1], device=x.device) + start_pos
        return x + (self.amplitude * self.waves[positions]).to(x.dtype)  # (B, T, C) + (T, C)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MinePosition)
