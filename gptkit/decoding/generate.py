"""Writes on from some tokens: a decoder's first pass, then one token after another."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.decoding.decoder import CachedDecoder, Decoder, UncachedDecoder
from gptkit.decoding.language_model import LanguageModel
from gptkit.decoding.sampling import Sampling, check_drawn, stack_tokens
from gptkit.nn.eval_mode import evaluating


def choose_decoder(model: LanguageModel, decoder: Decoder | None, *, use_cache: bool) -> Decoder:
    """Return the decoder that was given, or the plain one with or without a cache.

    Raises:
        ValueError: If the decoder is another model's, or is given although no cache is wanted.
    """
    if decoder is None:
        return CachedDecoder(model) if use_cache else UncachedDecoder(model)
    if decoder.model is not model:
        raise ValueError(f"the {type(decoder).__name__} is another model's: make one of this model")
    if not use_cache:
        raise ValueError(f"use_cache = False, but a {type(decoder).__name__} is given: leave out one of the two")
    return decoder


def stream(
    model: LanguageModel,
    tokens: Int[Tensor, "B T"],
    max_new_tokens: int,
    *,
    sampling: Sampling,
    generator: torch.Generator | None,
    decoder: Decoder,
) -> Iterator[Int[Tensor, "N B"]]:
    """Yield the new tokens, as many at a time as the decoder computes at once.

    Raises:
        ValueError: If there is no token to go on from, `max_new_tokens` is negative, or the logits hold a NaN.
    """
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be 0 or more, found {max_new_tokens}")
    if tokens.shape[1] == 0:
        raise ValueError("there is no token to go on from: give at least one")
    length, end, started = tokens.shape[1], tokens.shape[1] + max_new_tokens, -1
    while length < end:
        start = window_start(length, model.dims.block_size)
        with evaluating(model):
            if start != started:
                logits, started = decoder.start(tokens[:, start:]), start
                noise = sampling.noise(logits, 1, generator)
                token, score = sampling.choose(logits, None if noise is None else noise[0])
                new = stack_tokens([token], [score])
            else:
                # A token that is drawn at position block_size - 1 of the window is the last behind this start.
                count = min(decoder.chunk, end - length, start + model.dims.block_size + 1 - length)
                noise = sampling.noise(logits, count, generator)
                # Not the last of `tokens`, whose stride changes from token to token: that is compiled anew.
                new = decoder.decode_chunk(new[-1], count, sampling, noise)
            check_drawn(new)
            tokens = torch.cat((tokens, new.T), dim=1)
        length += len(new)
        yield new


def window_start(length: int, block_size: int) -> int:
    """Return the first of `length` tokens that is still in the context.

    When the context is full, the older half of it is dropped, and what is left stands at position 0 again.
    So a token costs one pass of its own, but for one in half a context.
    """
    hop = block_size - block_size // 2
    return 0 if length <= block_size else -(-(length - block_size) // hop) * hop


def sample(
    logits: Float[Tensor, "B V"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " B"]:
    """Draw a token from the logits. Arguments and errors are those of `GPT.generate`."""
    sampling = Sampling(temperature, top_k, top_p)
    noise = sampling.noise(logits, 1, generator)
    token, score = sampling.choose(logits, None if noise is None else noise[0])
    check_drawn(stack_tokens([token], [score]))
    return token
