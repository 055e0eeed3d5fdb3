"""The nine interfaces. A part is a class that inherits one of them.

The positional parameters of an interface's constructor are what every part of that kind is handed. The
keyword-only, annotated parameters that a part adds are its options in a recipe.

Axes: B batch, T time, S time of the keys (S >= T), C channels (n_embd), H heads, D head width (C = H·D),
V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn

Probability = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class Dims:
    """The sizes that every part may need.

    Args:
        block_size: The longest context, in tokens.
        dropout: Share of activations that are zeroed while training.

    Raises:
        ValueError: If the heads do not divide the channels.
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
        """Channels of one head, D."""
        return self.n_embd // self.n_head


class Memory(ABC):
    """What one layer keeps of the keys and values it has seen."""

    @abstractmethod
    def append(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"], first: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Keep the keys and values of positions `first`, `first` + 1, …; return all that is kept."""


class Position(nn.Module, ABC):
    """Tells the model where a token stands: by adding to embeddings, by turning queries and keys, or both."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()

    def embed(self, x: Float[Tensor, "B T C"], first: int | Int[Tensor, ""]) -> Float[Tensor, "B T C"]:
        """Add to the embeddings of tokens whose first stands at position `first`, counted from 0."""
        return x

    def turn(
        self, q: Float[Tensor, "B H T D"], k: Float[Tensor, "B H T D"], first: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B H T D"]]:
        """Turn the queries and keys of tokens whose first stands at position `first`, counted from 0."""
        return q, k


@dataclass(frozen=True)
class Place:
    """Where the tokens of one pass stand, for one layer. The default is a sequence's own start.

    Args:
        first: Position of the first token, counted from 0; a tensor where it must stay on the device.
        position: The part that turns this model's queries and keys.
        memory: What this layer keeps of earlier passes; none in training.
        visible: Which key each query sees; None is the causal rule.
    """

    first: int | Int[Tensor, ""] = 0
    position: Position | None = None
    memory: Memory | None = None
    visible: Bool[Tensor, "..."] | None = None

    def turn(
        self, q: Float[Tensor, "B H T D"], k: Float[Tensor, "B H T D"]
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B H T D"]]:
        """Turn queries and keys by where they stand."""
        return (q, k) if self.position is None else self.position.turn(q, k, self.first)

    def remember(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Return these keys and values behind those of earlier passes, and keep them for later ones."""
        return (k, v) if self.memory is None else self.memory.append(k, v, self.first)


class Attention(nn.Module, ABC):
    """Mixes across time: position t reads positions up to t only."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, x: Float[Tensor, "B T C"], at: Place = Place()) -> Float[Tensor, "B T C"]:
        """Return what each position gathered from those it may see."""

    @abstractmethod
    def new_memory(self, batch_size: int, length: int) -> Memory:
        """Return an empty memory for `length` positions of `batch_size` sequences."""


class FeedForward(nn.Module, ABC):
    """Transforms each position alone."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return every position, transformed."""


class Norm(nn.Module, ABC):
    """Rescales each position's channels."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return every position, rescaled."""


class Parts(ABC):
    """Builds the parts of one block: each call returns a new one, as the recipe chose it for this layer."""

    @abstractmethod
    def attention(self) -> Attention:
        """Return a new attention."""

    @abstractmethod
    def feed_forward(self) -> FeedForward:
        """Return a new feed-forward."""

    @abstractmethod
    def norm(self) -> Norm:
        """Return a new norm."""


class Block(nn.Module, ABC):
    """Wires attention, feed-forward and norms onto the residual stream."""

    def __init__(self, dims: Dims, parts: Parts) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, x: Float[Tensor, "B T C"], at: Place = Place()) -> Float[Tensor, "B T C"]:
        """Return the residual stream after this block."""

    def new_memory(self, batch_size: int, length: int) -> Memory:
        """Return an empty memory for this block's attention. Blocks with more than one override this.

        Raises:
            NotImplementedError: If the block does not hold exactly one attention.
        """
        attentions = [module for module in self.modules() if isinstance(module, Attention)]
        if len(attentions) != 1:
            raise NotImplementedError(
                f"{type(self).__name__} holds {len(attentions)} attentions: override new_memory to say "
                "what it remembers"
            )
        return attentions[0].new_memory(batch_size, length)


class Tokenizer(ABC):
    """Turns text into token ids and back. Its vocabulary may come from the text it is made with."""

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__()

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of distinct tokens: ids run from 0 to one less."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the ids of a text.

        Raises:
            ValueError: If the text holds what this vocabulary does not.
        """

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return all that `from_json` needs, in JSON's types."""

    @classmethod
    @abstractmethod
    def from_json(cls, saved: dict[str, Any]) -> "Tokenizer":
        """Return the tokenizer that `to_json` described."""


class Corpus(ABC):
    """Yields text to train on and text to validate on, in pieces of any length.

    Raises:
        DataError: From either method, if the text cannot be had.
    """

    @abstractmethod
    def train(self) -> Iterator[str]:
        """Yield the training text."""

    @abstractmethod
    def validation(self) -> Iterator[str]:
        """Yield the validation text, none of it in the training text."""


@dataclass(frozen=True)
class ParameterGroups:
    """A model's parameters by what they do, because optimizers treat them apart.

    Args:
        matrices: Weights of the blocks with two or more axes.
        embeddings: Every other weight with two or more axes: tables of tokens and positions, and the head.
        vectors: Biases and gains.
    """

    matrices: list[nn.Parameter]
    embeddings: list[nn.Parameter]
    vectors: list[nn.Parameter]


class Optimizer(ABC):
    """Makes a `torch.optim.Optimizer` for a model's parameters. The schedule scales each group's rate."""

    @abstractmethod
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        """Return an optimizer of all the parameters in the groups."""


class Schedule(ABC):
    """Gives the factor on the learning rate at each optimizer step of a run of `total`. Pure."""

    def __init__(self, total: int) -> None:
        super().__init__()

    @abstractmethod
    def __call__(self, step: int) -> float:
        """Return the factor of a step, counted from 0 and at most `total`; never negative."""


KINDS: dict[str, type] = {
    "attention": Attention,
    "feed_forward": FeedForward,
    "norm": Norm,
    "position": Position,
    "block": Block,
    "tokenizer": Tokenizer,
    "corpus": Corpus,
    "optimizer": Optimizer,
    "schedule": Schedule,
}
