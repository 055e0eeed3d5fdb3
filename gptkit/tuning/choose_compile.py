"""Decides whether training goes through `torch.compile`: by what there is to compile with, and by trying."""

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from statistics import median
from typing import Literal

import torch

from gptkit.tuning.choose_device import Decision
from gptkit.tuning.timing import in_turns

# A run shorter than this may well be over before compiling has paid for itself: that takes a minute or more.
WORTH_SECONDS = 600
# Faster by less than this may be chance.
WORTHWHILE_GAIN = 1.05
REPEATS = 3


def check_compiler(wanted: bool | Literal["auto"], device: torch.device) -> None:
    """Raise ValueError if a recipe wants what cannot be compiled here."""
    if wanted is True and (lack := lacking(device)):
        raise ValueError(f"{lack}. To go on without compiling: --set train.compile=false")


def lacking(device: torch.device) -> str:
    """Return what `torch.compile` lacks on this machine, or nothing."""
    if device.type == "cuda":
        return (
            "" if find_spec("triton") else "compiling for CUDA needs the package triton, and it is not installed"
        )
    if device.type == "cpu":
        names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
        if not any(map(shutil.which, names)):
            return f"compiling for a CPU needs a C++ compiler, and there is none called {' or '.join(names)}"
        return ""
    return f"PyTorch does not compile training for {device.type} reliably"


def choose_compile(
    wanted: bool | Literal["auto"],
    device: torch.device,
    *,
    whole: float,
    eager: Callable[[], float],
    compiled: Callable[[], float],
) -> Decision[bool]:
    """Return whether to compile, as a recipe wants it or, where it says `auto`, by trying.

    Args:
        whole: How many seconds all steps will take if they are not compiled.
        eager: Goes through a pass as it is, and returns how many seconds that took.
        compiled: Does so compiled; the first time compiles.
    """
    if wanted != "auto":
        return Decision(wanted, "the recipe says so")
    if lack := lacking(device):
        return Decision(False, lack)
    if whole < WORTH_SECONDS:
        about = timedelta(seconds=round(whole))
        return Decision(False, f"all steps take about {about}, and compiling takes minutes first")
    try:
        compiled()
    except Exception as error:
        # A stranger's part may be one that cannot be compiled. With `true` instead, all of the error is seen.
        return Decision(False, f"compiling failed: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    seconds = in_turns({"eager": eager, "compiled": compiled}, range(REPEATS))
    plain, fast = median(seconds["eager"]), median(seconds["compiled"])
    measured = f"a pass takes {fast:.3g} s compiled and {plain:.3g} s as it is, measured"
    return Decision(plain / fast >= WORTHWHILE_GAIN, measured)
