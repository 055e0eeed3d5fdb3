"""Computes the tokens that follow others within one context; decoders differ in speed, not in text."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.decoding.language_model import LanguageModel, decode_one_token, prefill
from gptkit.decoding.sampling import Sampling, stack_tokens
from gptkit.interfaces import LayerCache


class Decoder(ABC):
    """Goes on from some tokens, one after another.

    The caller keeps dropout and gradients off, and starts anew before the context is full.
    """

    chunk: int = 1
    """How many tokens it is best asked for at a time."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    @abstractmethod
    def start(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Forget what was before, read tokens that stand at position 0, and return the logits after them."""

    @abstractmethod
    def step(self, token: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Read one more token, and return the logits after it."""

    def decode_chunk(
        self, token: Int[Tensor, " B"], count: int, sampling: Sampling, noise: Float[Tensor, "N B V"] | None
    ) -> Int[Tensor, "N B"]:
        """Read one more token, and return those after it.

        Args:
            count: How many to return, N; at most `chunk`.
            noise: What they are drawn with, as `sampling` made it.
        """
        tokens, scores = [], []
        for i in range(count):
            token, score = sampling.choose(self.step(token), None if noise is None else noise[i])
            tokens.append(token)
            scores.append(score)
        return stack_tokens(tokens, scores)


class UncachedDecoder(Decoder):
    """Computes the whole context anew for each token: the definition of what all others compute."""

    tokens: Int[Tensor, "B T"]

    def start(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Return the logits after the tokens."""
        self.tokens = tokens
        return self.model(tokens)[:, -1]

    def step(self, token: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Return the logits after all tokens."""
        return self.start(torch.cat((self.tokens, token[:, None]), dim=1))


class CachedDecoder(Decoder):
    """Keeps what each layer made of earlier tokens, so that a token costs a pass of its own."""

    caches: Sequence[LayerCache]
    start_pos: Int[Tensor, ""]

    def start(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Fill new memories."""
        self.caches, logits = prefill(self.model, tokens)
        # On the device, where it is counted on without the host.
        self.start_pos = torch.tensor(tokens.shape[1], device=tokens.device)
        return logits

    def step(self, token: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Return the logits after one more token."""
        logits = decode_one_token(self.model, token, self.start_pos, self.caches)
        self.start_pos += 1
        return logits
