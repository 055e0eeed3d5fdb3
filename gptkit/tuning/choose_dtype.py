"""Chooses the precision of training, and says why."""

import time
from functools import partial
from statistics import median

import torch

from gptkit.seeds import seeded
from gptkit.training.precision import autocast
from gptkit.tuning.choose_device import Decision
from gptkit.tuning.timing import in_turns

# Enough to tell precisions apart in a second or two.
MEASURED_TOKENS, REPEATS = 4096, 5
# A gain below this is in the noise, and the norms and sums that stay in fp32 make it smaller in the whole step.
WORTHWHILE_GAIN = 1.25


def choose_dtype(wanted: str, device: torch.device, tokens: int, n_embd: int) -> Decision[str]:
    """Return the precision that a recipe wants, or the one that suits the device where it says `auto`.

    On a CPU that is measured, because some compute bf16 several times as fast as fp32, and others several times as
    slowly.

    Args:
        tokens: How many go through a layer in one pass.

    Raises:
        ValueError: If the device cannot train in that precision.
    """
    if wanted == "fp16" and device.type != "cuda":
        raise ValueError(f"fp16 is trained on CUDA alone, and this run is on {device.type}. Use bf16 or fp32")
    if wanted == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ValueError("this CUDA device has no bf16. Use fp16 or fp32")
    if wanted != "auto":
        return Decision(wanted, "the recipe says so")
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return Decision("bf16", "it is the fastest that trains as well as fp32 here; weights stay in fp32")
    if device.type != "cpu":
        return Decision("fp32", f"it is exact, and bf16 is not faster on every {device.type}")
    gain = bf16_gain(min(tokens, MEASURED_TOKENS), n_embd)
    measured = f"a layer of {n_embd} channels trains {gain:.2g} times as fast in bf16 as in fp32 here, measured"
    if gain >= WORTHWHILE_GAIN:
        return Decision("bf16", f"{measured}; weights stay in fp32")
    return Decision("fp32", f"{measured}, and fp32 is exact")


def bf16_gain(tokens: int, n_embd: int) -> float:
    """Return how many times as fast this CPU trains a linear layer under autocast to bf16 as in fp32."""
    cpu = torch.device("cpu")
    with seeded(cpu, 0, "bf16 gain"):
        layer, x = torch.nn.Linear(n_embd, 4 * n_embd), torch.randn(tokens, n_embd)

    def seconds(dtype: str) -> float:
        began = time.perf_counter()
        with autocast(cpu, dtype):
            y = layer(x)
        y.sum().backward()
        return time.perf_counter() - began

    # The first round warms up.
    found = in_turns({dtype: partial(seconds, dtype) for dtype in ("fp32", "bf16")}, range(1 + REPEATS))
    return median(found["fp32"][1:]) / median(found["bf16"][1:])
