"""Draws the batch of each step from the tokens."""

import torch
from jaxtyping import Int, Integer
from torch import Tensor

from gptkit.seeds import generator


def draw_batch(
    tokens: Integer[Tensor, " N"], rows: int, block_size: int, *, seed: int, step: int
) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Return the contexts of one step, drawn anywhere in the text, and the token after each of their tokens."""
    at = starts(len(tokens), rows, block_size, seed=seed, step=step).to(tokens.device, non_blocking=True)
    contexts = tokens[at + torch.arange(block_size + 1, device=tokens.device)].long()  # (B, T + 1)
    return contexts[:, :-1], contexts[:, 1:]


def starts(length: int, rows: int, block_size: int, *, seed: int, step: int) -> Int[Tensor, "B 1"]:
    """Return where the contexts of one step begin in a text of so many tokens."""
    return torch.randint(length - block_size, (rows, 1), generator=generator(seed, "batch", step))
