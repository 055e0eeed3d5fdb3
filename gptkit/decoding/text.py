"""Text from a model: a prompt in, pieces of text out as they are written."""

from collections.abc import Iterator

import torch

from gptkit.decoding.decoder import Decoder
from gptkit.decoding.generate import choose_decoder, stream
from gptkit.decoding.language_model import LanguageModel
from gptkit.decoding.sampling import Sampling
from gptkit.interfaces import Tokenizer
from gptkit.seeds import generator


def stream_text(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    max_new_tokens: int,
    *,
    seed: int,
    sample_index: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: str | None = None,
    use_cache: bool = True,
    decoder: Decoder | None = None,
) -> Iterator[str]:
    """Yield what the model writes after a prompt, piece by piece.

    Args:
        max_new_tokens: The most tokens to write.
        sample_index: Number of the sample: each draws from its own seed, however many there are.
        stop: Text before which to stop.
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: How many of the likeliest tokens may be drawn.
        top_p: Share of the probability that the likeliest tokens, which may be drawn, make up.
        use_cache: Whether each layer keeps the keys and values of earlier tokens.
        decoder: What computes the tokens, such as a `CompiledDecoder` of this model; it does not change the text.

    Raises:
        ValueError: If the prompt is empty or cannot be encoded, or a number is out of its range.
    """
    sampling = Sampling(temperature, top_k, top_p)
    decoder = choose_decoder(model, decoder, use_cache=use_cache)
    if max_new_tokens < 0:
        raise ValueError(f"the number of tokens must be 0 or more, found {max_new_tokens}")
    if not prompt:
        raise ValueError("the prompt is empty: give at least one character")
    if stop == "":
        raise ValueError("the text to stop at is empty: give at least one character")
    device = next(model.parameters()).device
    new = stream(
        model,
        torch.tensor([tokenizer.encode(prompt)], device=device),
        max_new_tokens,
        sampling=sampling,
        generator=generator(seed, "sample", sample_index),
        decoder=decoder,
    )
    # One copy from the device for each burst.
    pieces = decoded(tokenizer, (token for chunk in new for token in chunk[:, 0].tolist()))
    return pieces if stop is None else until(pieces, stop)


def default_prompt(tokenizer: Tokenizer) -> str:
    """Return a newline, or the first token's text where the vocabulary has no newline."""
    try:
        return "\n" if tokenizer.encode("\n") else tokenizer.decode([0])
    except ValueError:
        return tokenizer.decode([0])


def decoded(tokenizer: Tokenizer, ids: Iterator[int]) -> Iterator[str]:
    """Yield the text of tokens as soon as they make up whole characters."""
    waiting: list[int] = []
    sent = 0
    for token in ids:
        waiting.append(token)
        text = tokenizer.decode(waiting)
        # U+FFFD at the end may be the beginning of a character; what stands before it will not change.
        whole = text.removesuffix("\ufffd")
        if len(whole) > sent:
            yield whole[sent:]
        waiting, sent = (waiting, len(whole)) if whole != text else ([], 0)
    if waiting:
        yield tokenizer.decode(waiting)[sent:]


def until(pieces: Iterator[str], stop: str) -> Iterator[str]:
    """Yield text up to the first place where it says `stop`."""
    held = ""
    for piece in pieces:
        held += piece
        before, found, _ = held.partition(stop)
        if found:
            yield before
            return
        # The end of the text may be the beginning of `stop`: hold back as much as could be.
        ready = len(held) - len(stop) + 1
        if ready > 0:
            yield held[:ready]
            held = held[ready:]
    yield held
