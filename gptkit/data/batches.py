"""Draws the batch of a step from the tokens."""

import torch
from jaxtyping import Int, Integer
from torch import Tensor

from gptkit.seeds import generator


def draw_batch(
    tokens: Integer[Tensor, " N"], rows: int, block_size: int, *, seed: int, step: int
) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Return inputs and targets of one step: contexts drawn anywhere in the text, and the tokens after theirs.

    Args:
        rows: Contexts in the batch, B.
        seed: Seed of the run. With `step`, counted from 0, it decides the draws.
    """
    at = starts(len(tokens), rows, block_size, seed=seed, step=step).to(tokens.device, non_blocking=True)
    contexts = tokens[at + torch.arange(block_size + 1, device=tokens.device)].long()  # (B, T + 1)
    return contexts[:, :-1], contexts[:, 1:]


def starts(length: int, rows: int, block_size: int, *, seed: int, step: int) -> Int[Tensor, "B 1"]:
    """Draw the position of the first token of each context, in a text of `length` tokens."""
    return torch.randint(length - block_size, (rows, 1), generator=generator(seed, "batch", step))
