"""Losses of a model on fixed windows of a text, so that they are the same at each call."""

import math
from functools import partial

import torch
from jaxtyping import Integer
from torch import Tensor
from torch.nn import functional as F

from gptkit.model import GPT
from gptkit.nn.eval_mode import evaluating

# Or one window. Enough to keep two cores busy, with logits that fit into memory for a large vocabulary.
TOKENS_PER_PASS = 8192
# Windows of the training text, enough to estimate its loss to about 0.01 nats.
TRAIN_WINDOWS = 256


def validation_loss(model: GPT, tokens: Integer[Tensor, " N"]) -> float:
    """Return the mean loss of every token but the first, in nats per token.

    The text is cut into consecutive windows of one context; the last may be shorter.
    """
    block_size = model.dims.block_size
    whole = (len(tokens) - 1) // block_size * block_size
    inputs, targets = tokens[:-1], tokens[1:]
    pairs = [(inputs[:whole].view(-1, block_size), targets[:whole].view(-1, block_size))]
    if whole < len(inputs):
        pairs.append((inputs[None, whole:], targets[None, whole:]))
    return total_loss(model, pairs) / len(inputs)


def train_loss(model: GPT, tokens: Integer[Tensor, " N"]) -> float:
    """Return the mean loss over windows spread evenly over the training text, in nats per token."""
    block_size = model.dims.block_size
    count = min(TRAIN_WINDOWS, (len(tokens) - 1) // block_size)
    # In integers: fp32 cannot represent every position of a large text.
    starts = torch.arange(count, device=tokens.device) * (len(tokens) - 1 - block_size) // max(count - 1, 1)
    windows = tokens[starts[:, None] + torch.arange(block_size + 1, device=tokens.device)]  # (N, T + 1)
    return total_loss(model, [(windows[:, :-1], windows[:, 1:])]) / (count * block_size)


def total_loss(model: GPT, pairs: list[tuple[Integer[Tensor, "_ _"], Integer[Tensor, "_ _"]]]) -> float:
    """Return the sum of the losses of all tokens, in nats."""
    device, loss = next(model.parameters()).device, partial(F.cross_entropy, reduction="sum")
    rows = max(1, TOKENS_PER_PASS // model.dims.block_size)
    with evaluating(model):
        # As floats: a tensor kept from pass to pass would fragment the memory between passes.
        return math.fsum(
            float(loss(model(x.long().to(device)).flatten(0, 1), y.long().to(device).flatten()))
            for inputs, targets in pairs
            for x, y in zip(inputs.split(rows), targets.split(rows), strict=True)
        )
