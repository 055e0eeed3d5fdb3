"""Rotary positions."""

import torch
from jaxtyping import Float, Int
from pydantic import PositiveFloat
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, Position


class RopePosition(Position):
    """Turns queries and keys by an angle that grows with position, so that q·k depends on distance alone.

    Channel i of a head is turned together with channel i + D/2.

    Args:
        theta: Wavelength of the slowest pair over that of the fastest, about.

    Raises:
        ValueError: If the head width is odd.

    Source:
        Su et al. 2021, arXiv:2104.09864, equation 34.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, dims: Dims, *, theta: PositiveFloat = 10_000.0) -> None:
        super().__init__(dims)
        D = dims.head_width
        if D % 2:
            raise ValueError(
                f"rope turns channels in pairs and needs an even head width, found {D} "
                f"(n_embd {dims.n_embd} / n_head {dims.n_head})"
            )
        rates = theta ** (-torch.arange(0, D, 2) / D)
        angles = (torch.arange(dims.block_size)[:, None] * rates).repeat(1, 2)  # (block_size, D)
        # Not persistent: a checkpoint need not hold what these lines compute.
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def rotate(
        self, q: Float[Tensor, "B H T D"], k: Float[Tensor, "B K T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B K T D"]]:
        """Turn queries and keys at positions `start_pos`, `start_pos` + 1, …."""
        positions = torch.arange(q.shape[2], device=q.device) + start_pos
        cos, sin = self.cos[positions].to(q.dtype), self.sin[positions].to(q.dtype)  # (T, D)
        return q * cos + quarter_turn(q) * sin, k * cos + quarter_turn(k) * sin


def quarter_turn(x: Float[Tensor, "B H T D"]) -> Float[Tensor, "B H T D"]:
    """Turn every pair of channels (a, b) by 90 degrees, to (-b, a)."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((-b, a), dim=-1)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `rope`."""
    register("rope", RopePosition)
