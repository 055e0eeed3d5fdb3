import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, Position


class SinusoidalPosition(Position):
    """Adds sines and cosines of its position to each embedding, at wavelengths from 2π to 10,000·2π. No weights.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
    """

    table: Tensor

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        channels = torch.arange(dims.n_embd)
        rates = 10_000.0 ** (-(channels - channels % 2) / dims.n_embd)
        angles = torch.arange(dims.block_size)[:, None] * rates  # (block_size, C)
        # Not persistent: recomputed, so not stored in checkpoints.
        self.register_buffer("table", torch.where(channels % 2 == 0, angles.sin(), angles.cos()), persistent=False)

    def embed(self, x: Float[Tensor, "B T C"], start_pos: int | Int[Tensor, ""]) -> Float[Tensor, "B T C"]:
        """Add the sines and cosines of positions `start_pos`, `start_pos` + 1, …."""
        positions = torch.arange(x.shape[1], device=x.device) + start_pos
        return x + self.table[positions].to(x.dtype)  # (B, T, C) + (T, C)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("sinusoidal", SinusoidalPosition)
