"""Chooses the device and the precision, and says why."""

import os
import time
from dataclasses import dataclass
from statistics import median
from typing import Generic, TypeVar

import torch

from gptkit.seeds import seeded

Value = TypeVar("Value")

# Enough to tell precisions apart in a second or two.
MEASURED_TOKENS, REPEATS = 4096, 5
# A gain below this is in the noise, and the norms and sums that stay in fp32 make it smaller in the whole step.
WORTHWHILE_GAIN = 1.25

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Decision(Generic[Value]):
    """What was chosen, and why."""

    value: Value
    reason: str


def choose_device(wanted: str) -> Decision[torch.device]:
    """Return the device that a recipe wants, or the fastest there is where it says `auto`.

    Raises:
        ValueError: If that device is not here.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        if cuda:
            return Decision(torch.device("cuda"), f"this machine has {torch.cuda.get_device_name()}")
        if mps:
            return Decision(torch.device("mps"), "this machine has Apple's GPU and no CUDA device")
        return Decision(torch.device("cpu"), "this machine has no CUDA device")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ValueError(f"PyTorch knows no device '{wanted}'. Use auto, cpu, cuda, cuda:0 or mps") from None
    cards = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if cuda else []
    here = ["cpu", *cards, *["mps"] * mps]
    if (f"cuda:{device.index or 0}" if device.type == "cuda" else device.type) not in here:
        raise ValueError(f"this machine has no device '{wanted}'. It has: {', '.join(here)}")
    return Decision(device, "the recipe says so")


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
    """Return how many times as fast as in fp32 this CPU trains a linear layer under autocast to bf16."""
    with seeded(torch.device("cpu"), 0, "bf16 gain"):
        layer, x = torch.nn.Linear(n_embd, 4 * n_embd), torch.randn(tokens, n_embd)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    # By turns, so that whatever else the machine does slows down both; the first turn warms up.
    for _ in range(1 + REPEATS):
        for is_bf16, taken in seconds.items():
            began = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
                y = layer(x)
            y.sum().backward()
            taken.append(time.perf_counter() - began)
    return median(seconds[False][1:]) / median(seconds[True][1:])


def make_deterministic() -> None:
    """Let PyTorch use only algorithms that give the same bits each time, from now on."""
    # cuBLAS reads this when it first works: two buffers of fixed size instead of as many as there are streams.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)


def matmul_rate(device: torch.device, dtype: torch.dtype, product: tuple[int, int, int] = (1024,) * 3) -> float:
    """Return how many floating-point operations a second a matrix product does, the best of several tries.

    Args:
        product: M, K and N of (M, K) @ (K, N).
    """
    M, K, N = product
    # Random numbers, because a GPU multiplies equal ones with less power, and so faster.
    with seeded(device, 0, "products"):
        a, b = (torch.randn(shape, device=device).to(dtype) for shape in ((M, K), (K, N)))
    # One after another without waiting, so that the time to start one is hidden behind the one before.
    calls = 10 if device.type == "cuda" else 1
    best = float("inf")
    # The first try warms up.
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        for _ in range(calls):
            result = a @ b
        # Reading one element waits for the product, on a device that works behind one's back.
        float(result[0, 0])
        best = min(best, time.perf_counter() - began)
    return 2 * M * K * N * calls / best
