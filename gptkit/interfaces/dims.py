"""Dims: the sizes of a model."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, PositiveInt

Probability = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class Dims:
    """The sizes that the model passes to every part.

    Args:
        block_size: Longest context, in tokens.
        dropout: Share of activations zeroed in training.

    Raises:
        ValueError: If `n_head` does not divide `n_embd`.
    """

    n_layer: PositiveInt
    n_head: PositiveInt
    n_embd: PositiveInt
    block_size: PositiveInt
    vocab_size: PositiveInt
    dropout: Probability = 0.0

    def __post_init__(self) -> None:
        if self.n_embd % self.n_head:
            below = self.n_embd - self.n_embd % self.n_head
            fits = " or ".join(str(n) for n in (below, below + self.n_head) if n)
            raise ValueError(
                f"n_embd = {self.n_embd} is not divisible by n_head = {self.n_head}: "
                f"the nearest width that is would be {fits}"
            )

    @property
    def head_width(self) -> int:
        """Channels per head, D."""
        return self.n_embd // self.n_head
