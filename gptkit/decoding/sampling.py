"""Draws a token from logits: a pure function of them and of random numbers drawn beforehand."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Stands for a token that could not be drawn.
NO_TOKEN = -1


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen by its logits.

    Args:
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: How many of the likeliest tokens may be drawn.
        top_p: Share of the probability that the likeliest tokens, which may be drawn, make up.

    Raises:
        ValueError: If a number is out of its range.

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
        """Return what `count` tokens like that of the logits are drawn with; greedy ones need nothing.

        Args:
            generator: Source of the draws; PyTorch's own of the logits' device by default.
        """
        if self.temperature == 0:
            return None
        device = logits.device if generator is None else generator.device
        noise = torch.empty(count, *logits.shape, dtype=logits.dtype, device=device)
        # Token by token, so that what is drawn for one does not depend on how many are asked for at once.
        for each in noise:
            each.exponential_(generator=generator)
        return noise.to(logits.device)

    def choose(
        self, logits: Float[Tensor, "B V"], noise: Float[Tensor, "B V"] | None
    ) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
        """Return the token of each row and its score, which is NaN where the logits hold a NaN.

        The least of exponential waiting times with the probabilities for rates falls on each token as often as
        its probability says. `torch.multinomial` does the same, and in addition waits for the device.

        Args:
            noise: Numbers drawn from the exponential distribution of rate 1; none where the temperature is 0.
        """
        scores = logits if noise is None else self.probabilities(logits) / noise
        best = scores.max(dim=-1)
        return best.indices, best.values

    def probabilities(self, logits: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        """Return how likely each token is to be drawn, for a temperature above 0."""
        # Less the largest, so that no temperature is too small to divide by.
        logits = (logits - logits.amax(dim=-1, keepdim=True)) / self.temperature
        if self.top_k is not None:
            least = logits.topk(min(self.top_k, logits.shape[-1])).values[:, -1:]  # (B, 1)
            logits = logits.masked_fill(logits < least, -torch.inf)
        if self.top_p is not None:
            ordered, order = logits.sort(dim=-1, descending=True)
            # A token is dropped if those likelier than it already make up the share.
            probabilities = ordered.softmax(dim=-1)
            dropped = probabilities.cumsum(dim=-1) - probabilities >= self.top_p
            logits = logits.masked_fill(dropped.scatter(-1, order, dropped), -torch.inf)
        return logits.softmax(dim=-1)


def stack_tokens(tokens: list[Int[Tensor, " B"]], scores: list[Float[Tensor, " B"]]) -> Int[Tensor, "N B"]:
    """Return tokens chosen one after another, or NO_TOKEN where a score is NaN.

    To look at each score as soon as it is there would make a device wait, and cost a CPU three operations a token.
    """
    return torch.stack(tokens).masked_fill(torch.stack(scores).isnan(), NO_TOKEN)


def check_drawn(tokens: Int[Tensor, "N B"]) -> None:
    """Raise ValueError if a token could not be drawn."""
    if (tokens == NO_TOKEN).any():
        raise ValueError("no token can be drawn: the model's logits are not all numbers. Are its weights finite?")
