"""A right position that is easy to break in one place."""

import torch
from torch import Tensor

from gptkit.components.position.rope import RopePosition
from gptkit.interfaces import Dims

StartPos = int | Tensor
Pair = tuple[Tensor, Tensor]


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate channels i and i + D/2 by an angle for each position and pair."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class SpelledOutRope(RopePosition):
    """`rope` from its angles."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.head_width = dims.head_width

    def rates(self, device: torch.device) -> Tensor:
        """Return the angle of one step for each pair, in float64."""
        return 10_000.0 ** (-torch.arange(0, self.head_width, 2, device=device).double() / self.head_width)

    def angles(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the angle of each position and pair."""
        return positions[:, None] * self.rates(positions.device)

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> Pair:
        positions = torch.arange(q.shape[2], device=q.device) + start_pos
        angles = self.angles(positions, q.dtype)
        return turned(q, angles), turned(k, angles)
