"""From a corpus to tokens, and from tokens to the batches of each step."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from gptkit.errors import DataError
from gptkit.interfaces import Corpus, Tokenizer
from gptkit.seeds import generator


@dataclass(frozen=True)
class TokenData:
    """A corpus as tokens.

    Args:
        characters: Number of characters in both texts.
        characters_per_token: Of the validation text, for results in bits per character.
    """

    train: Int[Tensor, " N"]
    validation: Int[Tensor, " M"]
    characters: int
    characters_per_token: float


def tokenize(
    corpus: Corpus, make_tokenizer: Callable[[list[str]], Tokenizer], block_size: int
) -> tuple[Tokenizer, TokenData]:
    """Return the tokenizer of a corpus and its tokens.

    Raises:
        DataError: If the corpus cannot be had, or there is too little in it to learn from.
    """
    train, validation = list(corpus.train()), list(corpus.validation())
    distinct = set().union(*train, *validation)
    if len(distinct) < 2:
        found = f"only one distinct character, {min(distinct)!r}" if distinct else "no text at all"
        raise DataError(f"the corpus holds {found}: there is nothing to predict")
    tokenizer = make_tokenizer(train + validation)
    texts = {"training": train, "validation": validation}
    tokens = {name: encode(tokenizer, text, name, block_size) for name, text in texts.items()}
    characters = {name: sum(map(len, text)) for name, text in texts.items()}
    return tokenizer, TokenData(
        tokens["training"],
        tokens["validation"],
        sum(characters.values()),
        characters["validation"] / len(tokens["validation"]),
    )


def encode(tokenizer: Tokenizer, text: list[str], name: str, block_size: int) -> Int[Tensor, " N"]:
    """Return the tokens of a text that must hold at least one context and the token after it."""
    try:
        ids = np.concatenate([np.array(tokenizer.encode(piece), dtype=np.int32) for piece in ("", *text)])
    except ValueError as error:
        raise DataError(f"the {name} text cannot be encoded: {error}") from error
    if len(ids) <= block_size:
        raise DataError(
            f"the {name} text is too short: {len(ids):,} tokens, and a context of {block_size:,} "
            f"(model.block_size) needs {block_size + 1:,}. Use a longer text, a smaller block_size or another "
            "validation_share"
        )
    return torch.from_numpy(ids)


def batch(
    tokens: Int[Tensor, " N"], rows: int, block_size: int, *, seed: int, step: int
) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Return the contexts of one step, drawn anywhere in the text, and the token after each of their tokens."""
    starts = torch.randint(len(tokens) - block_size, (rows, 1), generator=generator(seed, "batch", step))
    places = starts.to(tokens.device) + torch.arange(block_size + 1, device=tokens.device)
    contexts = tokens[places].long()  # (B, T + 1)
    return contexts[:, :-1], contexts[:, 1:]
