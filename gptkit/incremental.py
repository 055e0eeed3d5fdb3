"""A model that is fed its text piece by piece, and the two passes it takes: prefill, then token after token."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from gptkit.interfaces import Dims, Memory


class IncrementalModel(nn.Module, ABC):
    """Gives the logits of the next token, and can remember the tokens of earlier passes."""

    dims: Dims

    @abstractmethod
    def forward(
        self,
        tokens: Int[Tensor, "B T"],
        first: int | Int[Tensor, ""] = 0,
        memories: Sequence[Memory] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Return the logits of the token after each.

        Args:
            first: Position of the first token, counted from 0.
            memories: What each layer keeps of the tokens before; none looks at these tokens alone.
        """

    @abstractmethod
    def new_memories(self, batch_size: int) -> list[Memory]:
        """Return each layer's empty memory, for a whole context."""


def prefill(model: IncrementalModel, tokens: Int[Tensor, "B T"]) -> tuple[list[Memory], Float[Tensor, "B V"]]:
    """Return new memories that hold the tokens, and the logits of the token after them."""
    memories = model.new_memories(tokens.shape[0])
    return memories, model(tokens, 0, memories)[:, -1]


def decode_one_token(
    model: IncrementalModel, token: Int[Tensor, " B"], first: Int[Tensor, ""], memories: Sequence[Memory]
) -> Float[Tensor, "B V"]:
    """Return the logits of the token after one that stands at position `first`; the memories keep that one."""
    return model(token[:, None], first, memories)[:, -1]
