"""Generates tokens: prefill, then one token after another, restarting when the context is full."""

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from gptkit.decoding.decoder import CachedDecoder, Decoder, LanguageModel, UncachedDecoder
from gptkit.decoding.sampling import NO_TOKEN, Sampling, stack_tokens
from gptkit.nn.eval_mode import evaluating


def choose_decoder(model: LanguageModel, decoder: Decoder | None, *, use_cache: bool) -> Decoder:
    """Return the given decoder, or else the plain one with or without a cache.

    Raises:
        ValueError: If the decoder belongs to another model, or is given with `use_cache = False`.
    """
    if decoder is None:
        return CachedDecoder(model) if use_cache else UncachedDecoder(model)
    if decoder.model is not model:
        raise ValueError(f"the {type(decoder).__name__} is another model's: make one of this model")
    if not use_cache:
        raise ValueError(f"use_cache = False, but a {type(decoder).__name__} is given: leave out one of the two")
    return decoder


def stream(
    decoder: Decoder,
    tokens: Int[Tensor, "B T"],
    max_new_tokens: int,
    sampling: Sampling,
    generator: torch.Generator | None,
) -> Iterator[Int[Tensor, "N B"]]:
    """Yield the new tokens in chunks of N, as many as the decoder computes at once.

    Raises:
        ValueError: If `tokens` is empty, `max_new_tokens` is negative, or the logits hold a NaN.
    """
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be 0 or more, found {max_new_tokens}")
    if tokens.shape[1] == 0:
        raise ValueError("there is no token to go on from: give at least one")
    block_size = decoder.model.dims.block_size
    length, end, started = tokens.shape[1], tokens.shape[1] + max_new_tokens, -1
    while length < end:
        start = window_start(length, block_size)
        with evaluating(decoder.model):
            if start != started:
                logits, started = decoder.start(tokens[:, start:]), start
                noise = sampling.noise(logits, 1, generator)
                token, score = sampling.choose(logits, None if noise is None else noise[0])
                new = stack_tokens([token], [score])
            else:
                # The last step of a window reads its position block_size - 1 and draws the token after it.
                count = min(decoder.chunk, end - length, start + block_size + 1 - length)
                noise = sampling.noise(logits, count, generator)
                # Not `tokens[:, -1]`: its stride changes with each token, which would recompile the step.
                new = decoder.decode_chunk(new[-1], count, sampling, noise)
            # Synchronises with the device.
            if (new == NO_TOKEN).any():
                raise ValueError(
                    "no token can be drawn: the model's logits are not all numbers. Are its weights finite?"
                )
            tokens = torch.cat((tokens, new.T), dim=1)
        length += len(new)
        yield new


def window_start(length: int, block_size: int) -> int:
    """Return the index of the first of `length` tokens that is in the context.

    When the context is full, its older half is dropped and the rest is computed again from position 0. So one
    token in half a context costs a prefill, every other one a single step.
    """
    hop = block_size - block_size // 2
    return 0 if length <= block_size else -(-(length - block_size) // hop) * hop
