"""The model as decoders see it; and decoders, which compute one token after another within one context."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gptkit.decoding.sampling import Sampling, stack_tokens
from gptkit.interfaces import Dims, LayerCache


class LanguageModel(nn.Module, ABC):
    """Computes the logits of the next token, with or without a cache of earlier tokens."""

    dims: Dims

    @abstractmethod
    def forward(
        self,
        tokens: Int[Tensor, "B T"],
        start_pos: int | Int[Tensor, ""] = 0,
        caches: Sequence[LayerCache] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Return the logits of the token after each of `tokens`.

        Args:
            start_pos: Position of the first token, counted from 0.
            caches: One for each layer, holding the tokens before. None attends to `tokens` alone.
        """

    @abstractmethod
    def new_caches(self, batch_size: int) -> list[LayerCache]:
        """Return an empty cache for each layer, with room for `block_size` positions."""


def prefill(model: LanguageModel, tokens: Int[Tensor, "B T"]) -> tuple[list[LayerCache], Float[Tensor, "B V"]]:
    """Return new caches that hold the tokens, and the logits of the next token."""
    caches = model.new_caches(tokens.shape[0])
    return caches, model(tokens, 0, caches)[:, -1]


def decode_one_token(
    model: LanguageModel, token: Int[Tensor, " B"], start_pos: Int[Tensor, ""], caches: Sequence[LayerCache]
) -> Float[Tensor, "B V"]:
    """Return the logits after a token at position `start_pos`, and store it in the caches."""
    return model(token[:, None], start_pos, caches)[:, -1]


class Decoder(ABC):
    """Computes the logits of the next token, given a prompt and then one token at a time. All give the same text.

    The caller keeps the model in eval mode without gradients, and calls `start` again before the context is full.
    """

    chunk: int = 1
    """The number of tokens that `decode_chunk` computes fastest."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    @abstractmethod
    def start(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Start a new window with tokens from position 0 on; return the logits of the next token."""

    @abstractmethod
    def step(self, token: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Return the logits after one more token."""

    def decode_chunk(
        self, token: Int[Tensor, " B"], count: int, sampling: Sampling, noise: Float[Tensor, "N B V"] | None
    ) -> Int[Tensor, "N B"]:
        """Return the `count` tokens that follow one more token.

        Args:
            count: Number of tokens to return, N; at most `chunk`.
            noise: Random numbers to draw them with, from `sampling.noise`; None if greedy.
        """
        tokens, scores = [], []
        for i in range(count):
            token, score = sampling.choose(self.step(token), None if noise is None else noise[i])
            tokens.append(token)
            scores.append(score)
        return stack_tokens(tokens, scores)


class UncachedDecoder(Decoder):
    """Recomputes the whole context for each token. The reference for the other decoders."""

    tokens: Int[Tensor, "B T"]

    def start(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Return the logits of the next token."""
        self.tokens = tokens
        return self.model(tokens)[:, -1]

    def step(self, token: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Return the logits after one more token."""
        return self.start(torch.cat((self.tokens, token[:, None]), dim=1))


class CachedDecoder(Decoder):
    """Caches each layer's keys and values, so that a step computes a single position."""

    caches: Sequence[LayerCache]
    start_pos: Int[Tensor, ""]
    decode: Callable[..., Float[Tensor, "B V"]] = staticmethod(decode_one_token)

    def start(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Fill new caches; return the logits of the next token."""
        self.caches, logits = prefill(self.model, tokens)
        # On the device, where it is incremented without host synchronisation.
        self.start_pos = torch.tensor(tokens.shape[1], device=tokens.device)
        return logits

    def step(self, token: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Return the logits after one more token."""
        logits = self.decode(self.model, token, self.start_pos, self.caches)
        self.start_pos += 1
        return logits
