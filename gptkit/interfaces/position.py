"""Position: tells the model where each token stands."""

from abc import ABC

from jaxtyping import Float, Int
from torch import Tensor, nn

from gptkit.interfaces.dims import Dims


class Position(nn.Module, ABC):
    """Encodes positions: adds to embeddings, rotates queries and keys, or both. By default it does neither."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()

    def embed(self, x: Float[Tensor, "B T C"], start_pos: int | Int[Tensor, ""]) -> Float[Tensor, "B T C"]:
        """Add to the embeddings of positions `start_pos`, `start_pos` + 1, …, counted from 0."""
        return x

    def rotate(
        self, q: Float[Tensor, "B H T D"], k: Float[Tensor, "B K T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B K T D"]]:
        """Rotate the queries and keys of positions `start_pos`, `start_pos` + 1, …, counted from 0."""
        return q, k


class RelativePosition(Position):
    """Rotates so that q·k depends on the distance of query and key alone. To inherit it is to promise that."""
