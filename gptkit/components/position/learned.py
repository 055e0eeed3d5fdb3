import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Dims, Position
from gptkit.nn import Embedding


class LearnedPosition(Position):
    """Adds a learned vector for its position to each embedding, as in GPT-2.

    Source:
        Gehring et al. 2017, arXiv:1705.03122, section 3.1.
    """

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.table = Embedding(dims.block_size, dims.n_embd)

    def embed(self, x: Float[Tensor, "B T C"], start_pos: int | Int[Tensor, ""]) -> Float[Tensor, "B T C"]:
        """Add the vectors of positions `start_pos`, `start_pos` + 1, …."""
        positions = torch.arange(x.shape[1], device=x.device) + start_pos
        return x + self.table(positions)  # (B, T, C) + (T, C)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("learned", LearnedPosition)
