"""A model that is fed its text piece by piece, and the two passes it takes: prefill, then token after token."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from gptkit.interfaces import Dims, LayerCache


class LanguageModel(nn.Module, ABC):
    """Gives the logits of the next token, and can remember the tokens of earlier passes."""

    dims: Dims

    @abstractmethod
    def forward(
        self,
        tokens: Int[Tensor, "B T"],
        start_pos: int | Int[Tensor, ""] = 0,
        caches: Sequence[LayerCache] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Return the logits of the token after each.

        Args:
            start_pos: Position of the first token, counted from 0.
            caches: What each layer keeps of the tokens before; none looks at these tokens alone.
        """

    @abstractmethod
    def new_caches(self, batch_size: int) -> list[LayerCache]:
        """Return each layer's empty memory, for a whole context."""


def prefill(model: LanguageModel, tokens: Int[Tensor, "B T"]) -> tuple[list[LayerCache], Float[Tensor, "B V"]]:
    """Return new memories that hold the tokens, and the logits of the token after them."""
    caches = model.new_caches(tokens.shape[0])
    return caches, model(tokens, 0, caches)[:, -1]


def decode_one_token(
    model: LanguageModel, token: Int[Tensor, " B"], start_pos: Int[Tensor, ""], caches: Sequence[LayerCache]
) -> Float[Tensor, "B V"]:
    """Return the logits of the token after one that stands at position `start_pos`; the memories keep that one."""
    return model(token[:, None], start_pos, caches)[:, -1]
