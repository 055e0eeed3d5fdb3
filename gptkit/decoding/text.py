"""Text from a model: takes a prompt, yields pieces of text as they are generated."""

from collections.abc import Iterator, Sequence

import torch

from gptkit.decoding.decoder import Decoder, LanguageModel
from gptkit.decoding.generate import choose_decoder, stream
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
    """Yield the text that the model generates after a prompt, piece by piece.

    Args:
        sample_index: Number of the sample. Each has its own seed, however many are generated.
        stop: Stop before this text.
        temperature: As in `Sampling`, like `top_k` and `top_p`.
        use_cache: Whether each layer caches the keys and values of earlier tokens.
        decoder: Computes the tokens, for example a `CompiledDecoder` of this model. It does not change the text.

    Raises:
        ValueError: If the prompt is empty or cannot be encoded, or an argument is out of range.
    """
    sampling = Sampling(temperature, top_k, top_p)
    decoder = choose_decoder(model, decoder, use_cache=use_cache)
    if max_new_tokens < 0:
        raise ValueError(f"the number of tokens must be 0 or more, found {max_new_tokens}")
    if not prompt:
        raise ValueError("the prompt is empty: give at least one character")
    if stop == "":
        raise ValueError("the text to stop at is empty: give at least one character")
    given = tokenizer.encode(prompt)
    tokens = torch.tensor([given], device=next(model.parameters()).device)
    new = stream(decoder, tokens, max_new_tokens, sampling, generator(seed, "sample", sample_index))
    # One copy from the device for each chunk.
    pieces = decoded(tokenizer, (token for chunk in new for token in chunk[:, 0].tolist()), given)
    return pieces if stop is None else until(pieces, stop)


def default_prompt(tokenizer: Tokenizer) -> str:
    """Return a newline, or the text of the first token if the vocabulary has no newline."""
    try:
        return "\n" if tokenizer.encode("\n") else tokenizer.decode([0])
    except ValueError:
        return tokenizer.decode([0])


def decoded(tokenizer: Tokenizer, ids: Iterator[int], prompt: Sequence[int] = ()) -> Iterator[str]:
    """Yield the text of tokens as soon as their characters are complete.

    Each is decoded with some before it, because many tokenizers drop the space at the start of a text.

    Args:
        prompt: The tokens before the first.
    """
    before, waiting = list(prompt), list[int]()
    known = sent = len(tokenizer.decode(before))
    for token in ids:
        waiting.append(token)
        text = tokenizer.decode(before + waiting)
        # U+FFFD at the end may be an incomplete character. The text before it is final.
        whole = text.removesuffix("\ufffd")
        if len(whole) > sent:
            yield whole[sent:]
            sent = len(whole)
        if whole == text and len(text) > known:
            before, waiting = waiting, []
            known = sent = len(tokenizer.decode(before))
    if rest := tokenizer.decode(before + waiting)[sent:]:
        yield rest


def until(pieces: Iterator[str], stop: str) -> Iterator[str]:
    """Yield text up to the first occurrence of `stop`."""
    held = ""
    for piece in pieces:
        held += piece
        before, found, _ = held.partition(stop)
        if found:
            yield before
            return
        # The end of the text may be the beginning of `stop`: hold that much back.
        ready = len(held) - len(stop) + 1
        if ready > 0:
            yield held[:ready]
            held = held[ready:]
    yield held
