"""Writes on from some tokens: prefill, then sample and decode one token after another."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gptkit.eval_mode import evaluating
from gptkit.interfaces import Dims, Memory


class LanguageModel(nn.Module, ABC):
    """Gives the logits of the next token, and writes text with them."""

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

    def generate(
        self,
        tokens: Int[Tensor, "B T"],
        max_new_tokens: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        generator: torch.Generator | None = None,
        use_cache: bool = True,
    ) -> Int[Tensor, "B T2"]:
        """Return the tokens with new ones behind them.

        Args:
            temperature: Divides the logits; 0 takes the likeliest token.
            top_k: How many of the likeliest tokens may be drawn.
            top_p: Share of the probability that the likeliest tokens, which may be drawn, make up.
            generator: Source of the draws; PyTorch's own by default.
            use_cache: Whether each layer keeps the keys and values of earlier tokens. It changes the time,
                not the text.

        Raises:
            ValueError: If there is no token to go on from, or a number is out of its range.
        """
        new = stream(
            self,
            tokens,
            max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            generator=generator,
            use_cache=use_cache,
        )
        return torch.cat([tokens, *(token[:, None] for token in new)], dim=1)


def stream(
    model: LanguageModel,
    tokens: Int[Tensor, "B T"],
    max_new_tokens: int,
    *,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    generator: torch.Generator | None,
    use_cache: bool,
) -> Iterator[Int[Tensor, " B"]]:
    """Yield the new tokens one by one. Arguments and errors are those of `LanguageModel.generate`."""
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be 0 or more, found {max_new_tokens}")
    if tokens.shape[1] == 0:
        raise ValueError("there is no token to go on from: give at least one")
    memories: list[Memory] = []
    for length in range(tokens.shape[1], tokens.shape[1] + max_new_tokens):
        with evaluating(model):
            start = window_start(length, model.dims.block_size)
            if not use_cache:
                logits = model(tokens[:, start:])[:, -1]
            elif not memories or start != window_start(length - 1, model.dims.block_size):
                memories, logits = prefill(model, tokens[:, start:])
                first = torch.tensor(length - start, device=tokens.device)
            else:
                logits = decode_one_token(model, tokens[:, -1], first, memories)
                first += 1
            token = sample(logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
            tokens = torch.cat([tokens, token[:, None]], dim=1)
        yield token


def window_start(length: int, block_size: int) -> int:
    """Return the first of `length` tokens that is still in the context.

    When the context is full, the older half of it is dropped, and what is left stands at position 0 again.
    So a token costs one pass of its own, but for one in half a context.
    """
    hop = block_size - block_size // 2
    return 0 if length <= block_size else -(-(length - block_size) // hop) * hop


def prefill(model: LanguageModel, tokens: Int[Tensor, "B T"]) -> tuple[list[Memory], Float[Tensor, "B V"]]:
    """Return new memories that hold the tokens, and the logits of the token after them."""
    memories = model.new_memories(tokens.shape[0])
    return memories, model(tokens, 0, memories)[:, -1]


def decode_one_token(
    model: LanguageModel, token: Int[Tensor, " B"], first: Int[Tensor, ""], memories: Sequence[Memory]
) -> Float[Tensor, "B V"]:
    """Return the logits of the token after one that stands at position `first`; the memories keep that one."""
    return model(token[:, None], first, memories)[:, -1]


def sample(
    logits: Float[Tensor, "B V"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " B"]:
    """Draw a token from the logits. Arguments and errors are those of `LanguageModel.generate`.

    Source:
        Holtzman et al. 2020, arXiv:1904.09751, section 3.1 (top p); Fan et al. 2018, arXiv:1805.04833 (top k).
    """
    check_sampling(temperature, top_k, top_p)
    if temperature == 0:
        return logits.argmax(dim=-1)
    # Less the largest, so that no temperature is too small to divide by.
    logits = (logits - logits.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        least = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]  # (B, 1)
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p is not None:
        ordered, order = logits.sort(dim=-1, descending=True)
        # A token is dropped if those likelier than it already make up the share.
        probabilities = ordered.softmax(dim=-1)
        dropped = probabilities.cumsum(dim=-1) - probabilities >= top_p
        logits = logits.masked_fill(dropped.scatter(-1, order, dropped), -torch.inf)
    probabilities = logits.softmax(dim=-1)
    if generator is None:
        return torch.multinomial(probabilities, 1)[:, 0]
    drawn = torch.multinomial(probabilities.to(generator.device), 1, generator=generator)
    return drawn[:, 0].to(logits.device)


def check_sampling(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise ValueError where a number is out of its range."""
    if not 0 <= temperature < torch.inf:
        raise ValueError(f"temperature must be 0 or more and finite, found {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be 1 or more, found {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, found {top_p}")
