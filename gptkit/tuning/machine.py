"""Resolves the settings of `[train]` that depend on the machine: its device, its precision, and its compiler."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Generic, Literal, TypeVar

import torch

from gptkit.errors import Problem, RecipeError
from gptkit.recipe.resolved import Resolved
from gptkit.seeds import seeded
from gptkit.training.precision import autocast
from gptkit.tuning.timing import in_turns

# Takes up to 30 s where bf16 is emulated, so fewer tokens come first.
FEW_TOKENS, MEASURED_TOKENS, REPEATS = 128, 4096, 5
# At such a gain more tokens would change nothing: measured 0.02 to 0.1 on an AMD CPU with AVX2 alone.
HOPELESS_GAIN = 0.5
# A smaller gain is within the noise, and the whole step gains less: norms and sums stay in fp32.
WORTHWHILE_GAIN = 1.25

Value = TypeVar("Value")


@dataclass(frozen=True)
class Decision(Generic[Value]):
    """What was chosen, and why."""

    value: Value
    reason: str


def choose_machine(resolved: Resolved, dtype: str | None = None) -> tuple[Decision[torch.device], Decision[str]]:
    """Return the device and the precision that a recipe is trained in.

    Args:
        dtype: The precision, if an earlier run decided it.

    Raises:
        RecipeError: If the recipe asks for something that this machine lacks.
    """
    train, sizes = resolved.train, resolved.sizes
    device = decide("device", resolved, lambda: choose_device(train.device))
    tokens, n_embd = train.batch_size * sizes["block_size"], sizes["n_embd"]
    precision = decide("dtype", resolved, lambda: choose_dtype(dtype or train.dtype, device.value, tokens, n_embd))
    return device, precision


def decide(key: str, resolved: Resolved, choose: Callable[[], Value]) -> Value:
    """Return what `choose` returns, with its ValueError as a problem of a key of `[train]`.

    Raises:
        RecipeError: If the machine lacks what the recipe asks for.
    """
    try:
        return choose()
    except ValueError as error:
        raise RecipeError([Problem(resolved.places[f"train.{key}"], f"train.{key}", str(error))]) from None


def choose_device(wanted: str) -> Decision[torch.device]:
    """Return the device that a recipe names or, where it says `auto`, the fastest one here.

    Raises:
        ValueError: If this machine lacks that device.
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
    """Return the precision that a recipe names or, where it says `auto`, the one that suits the device.

    On a CPU it is measured: bf16 is several times as fast as fp32 on some CPUs, several times as slow on others.

    Args:
        tokens: Number of tokens in one forward pass.

    Raises:
        ValueError: If the device cannot train in that precision.
    """
    if wanted == "fp16" and device.type != "cuda":
        raise ValueError(f"fp16 is trained on CUDA alone, and this run is on {device.type}. Use bf16 or fp32")
    if wanted == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ValueError("this CUDA device has no bf16. Use fp16 or fp32")
    if wanted != "auto":
        return Decision(wanted, "the recipe says so")
    # What PyTorch calls supported it also emulates, on cards older than these, and that is slower than fp32.
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return Decision("bf16", "it is the fastest that trains as well as fp32 here; weights stay in fp32")
    if device.type != "cpu":
        return Decision("fp32", f"it is exact, and bf16 is not faster on every {device.type}")
    gain = bf16_gain(min(tokens, FEW_TOKENS), n_embd)
    if gain > HOPELESS_GAIN:
        gain = bf16_gain(min(tokens, MEASURED_TOKENS), n_embd)
    measured = f"a layer of {n_embd} channels trains {gain:.2g} times as fast in bf16 as in fp32 here, measured"
    if gain >= WORTHWHILE_GAIN:
        return Decision("bf16", f"{measured}; weights stay in fp32")
    return Decision("fp32", f"{measured}, and fp32 is exact")


def bf16_gain(tokens: int, n_embd: int) -> float:
    """Return the seconds that training a linear layer takes on this CPU in fp32, divided by those in bf16."""
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


def check_compiler(wanted: bool | Literal["auto"], device: torch.device) -> None:
    """Raise ValueError if a recipe asks for compilation and this machine cannot compile."""
    if wanted is True and (lack := lacking(device)):
        raise ValueError(f"{lack}. To go on without compiling: --set train.compile=false")


def lacking(device: torch.device) -> str:
    """Return what `torch.compile` lacks on this machine; empty if it lacks nothing."""
    if device.type == "cuda":
        lack = "compiling for CUDA needs the package triton, and it is not installed"
        return "" if find_spec("triton") else lack
    if device.type != "cpu":
        return f"PyTorch does not compile training for {device.type} reliably"
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    lack = f"compiling for a CPU needs a C++ compiler, and there is none called {' or '.join(names)}"
    return "" if any(map(shutil.which, names)) else lack
