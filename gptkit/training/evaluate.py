"""The loss on fixed windows: the same number each time it is asked for."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Int, Integer
from torch import Tensor
from torch.nn import functional as F

from gptkit.model import GPT
from gptkit.nn.eval_mode import evaluating

# Large enough to keep two cores busy, small enough for the logits of a large vocabulary.
TOKENS_PER_PASS = 8192
# As many windows of the training text as give its loss to about 0.01 nats, spread evenly over it.
TRAIN_WINDOWS = 256


def validation_loss(model: GPT, tokens: Integer[Tensor, " N"]) -> float:
    """Return the mean loss over every token but the first, in nats per token.

    The text is cut into windows of one context, each beginning where the last ended; the last may be shorter.
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
    # In whole numbers: fp32 cannot count the tokens of a large text.
    starts = torch.arange(count, device=tokens.device) * (len(tokens) - 1 - block_size) // max(count - 1, 1)
    windows = tokens[starts[:, None] + torch.arange(block_size + 1, device=tokens.device)]  # (N, T + 1)
    return total_loss(model, [(windows[:, :-1], windows[:, 1:])]) / (count * block_size)


def total_loss(model: GPT, pairs: list[tuple[Integer[Tensor, "_ _"], Integer[Tensor, "_ _"]]]) -> float:
    """Return the sum of the losses of all tokens, in nats."""
    device = next(model.parameters()).device
    with evaluating(model):
        # Each as a number at once: tensors kept from pass to pass would keep the memory between them too.
        return math.fsum(
            float(F.cross_entropy(model(x.to(device)).flatten(0, 1), y.to(device).flatten(), reduction="sum"))
            for inputs, targets in pairs
            for x, y in passes(inputs, targets)
        )


def passes(
    inputs: Integer[Tensor, "N T"], targets: Integer[Tensor, "N T"]
) -> Iterator[tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]]:
    """Yield the windows, as many at a time as one forward pass should take."""
    rows = max(1, TOKENS_PER_PASS // inputs.shape[1])
    for x, y in zip(inputs.split(rows), targets.split(rows), strict=True):
        yield x.long(), y.long()
