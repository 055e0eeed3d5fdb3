"""What tells a model where its tokens stand."""

from abc import ABC

from jaxtyping import Float, Int
from torch import Tensor, nn

from gptkit.interfaces.dims import Dims


class Position(nn.Module, ABC):
    """Tells the model where a token stands: by adding to embeddings, by turning queries and keys, or both."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()

    def embed(self, x: Float[Tensor, "B T C"], start_pos: int | Int[Tensor, ""]) -> Float[Tensor, "B T C"]:
        """Add to the embeddings of tokens whose first stands at position `start_pos`, counted from 0."""
        return x

    def rotate(
        self, q: Float[Tensor, "B H T D"], k: Float[Tensor, "B K T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B K T D"]]:
        """Turn the queries and keys of tokens whose first stands at position `start_pos`, counted from 0."""
        return q, k
