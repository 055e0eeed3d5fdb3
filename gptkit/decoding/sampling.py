"""Samples a token from logits, as a pure function of the logits and of random numbers drawn beforehand."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Marks a token whose logits hold a NaN.
NO_TOKEN = -1


@dataclass(frozen=True)
class Sampling:
    """How a token is sampled from its logits.

    Args:
        temperature: Divides the logits; 0 always takes the likeliest token.
        top_k: Draw only from this many likeliest tokens.
        top_p: Draw only from the likeliest tokens that together have this probability.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Holtzman et al. 2020, arXiv:1904.09751, section 3.1 (top p); Fan et al. 2018, arXiv:1805.04833 (top k).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < torch.inf:
            raise ValueError(f"temperature must be 0 or more and finite, found {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be 1 or more, found {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, found {self.top_p}")

    def noise(
        self, logits: Float[Tensor, "B V"], count: int, generator: torch.Generator | None
    ) -> Float[Tensor, "N B V"] | None:
        """Draw the random numbers for `count` tokens, N; None if the temperature is 0.

        Args:
            logits: Any of the shape, dtype and device of those to sample from.
            generator: Source of the draws; by default PyTorch's global one of the logits' device.
        """
        if self.temperature == 0:
            return None
        device = logits.device if generator is None else generator.device
        noise = torch.empty(count, *logits.shape, dtype=logits.dtype, device=device)
        # One token at a time, so that its numbers do not depend on `count`.
        for noise_of_token in noise:
            noise_of_token.exponential_(generator=generator)
        return noise.to(logits.device)

    def choose(
        self, logits: Float[Tensor, "B V"], noise: Float[Tensor, "B V"] | None
    ) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
        """Return the token of each row and its score, which is NaN if the logits hold a NaN.

        If each token waits an exponential time whose rate is its probability, then each is the first to
        arrive with just that probability. `torch.multinomial` draws alike, but synchronises with the device.

        Args:
            noise: Draws from the exponential distribution of rate 1; None if the temperature is 0.
        """
        scores = logits if noise is None else self.probabilities(logits) / noise
        best = scores.max(dim=-1)
        return best.indices, best.values

    def probabilities(self, logits: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        """Return the probability of each token, for a temperature above 0."""
        # Subtract the largest first, so that dividing by a tiny temperature does not overflow.
        logits = (logits - logits.amax(dim=-1, keepdim=True)) / self.temperature
        if self.top_k is not None:
            lowest = logits.topk(min(self.top_k, logits.shape[-1])).values[:, -1:]  # (B, 1)
            logits = logits.masked_fill(logits < lowest, -torch.inf)
        if self.top_p is not None:
            ordered, order = logits.sort(dim=-1, descending=True)
            # A token is dropped if the likelier ones already have probability top_p.
            probabilities = ordered.softmax(dim=-1)
            dropped = probabilities.cumsum(dim=-1) - probabilities >= self.top_p
            logits = logits.masked_fill(dropped.scatter(-1, order, dropped), -torch.inf)
        return logits.softmax(dim=-1)


def stack_tokens(tokens: list[Int[Tensor, " B"]], scores: list[Float[Tensor, " B"]]) -> Int[Tensor, "N B"]:
    """Stack the tokens of successive steps, with NO_TOKEN where a score is NaN.

    Checking each score at once would synchronise with the device, and cost a CPU three operations per token.
    """
    return torch.stack(tokens).masked_fill(torch.stack(scores).isnan(), NO_TOKEN)
