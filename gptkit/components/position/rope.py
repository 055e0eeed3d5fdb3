import torch
from jaxtyping import Float, Int
from pydantic import PositiveFloat
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, RelativePosition


class RopePosition(RelativePosition):
    """RoPE: rotates queries and keys by position, so that q·k depends on distance.

    Channels i and i + D/2 of a head form a pair that is rotated together.

    Args:
        theta: About the ratio of the longest wavelength to the shortest.

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
                f"rope rotates channels in pairs and needs an even head width, found {D} "
                f"(n_embd {dims.n_embd} / n_head {dims.n_head})"
            )
        rates = theta ** (-torch.arange(0, D, 2) / D)
        angles = (torch.arange(dims.block_size)[:, None] * rates).repeat(1, 2)  # (block_size, D)
        # Not persistent: recomputed, so not stored in checkpoints.
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def rotate(
        self, q: Float[Tensor, "B H T D"], k: Float[Tensor, "B K T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B K T D"]]:
        """Rotate queries and keys of positions `start_pos`, `start_pos` + 1, …."""
        positions = torch.arange(q.shape[2], device=q.device) + start_pos
        cos, sin = self.cos[positions].to(q.dtype), self.sin[positions].to(q.dtype)  # (T, D)
        return q * cos + rotate_90(q) * sin, k * cos + rotate_90(k) * sin


def rotate_90(x: Float[Tensor, "B H T D"]) -> Float[Tensor, "B H T D"]:
    """Rotate every pair of channels (a, b) by 90 degrees, to (-b, a)."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((-b, a), dim=-1)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("rope", RopePosition)
