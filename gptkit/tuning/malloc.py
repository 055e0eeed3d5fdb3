"""Sets how glibc's malloc treats freed memory while a run trains.

On a CPU it keeps the memory of freed tensors for the next step: a step of `gpt_small` takes 6.2 s instead of
6.6 s, at a peak of 3.5 GB instead of 3.4 GB. With activation checkpointing it returns the memory to the system: a
heap took up to 2.6 times as much.
"""

import ctypes
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

MB = 2**20
# The numbers of the parameters of `mallopt`, from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
# Values of these parameters:
# M_MMAP_MAX: how many blocks may lie outside the heap, each mapped on its own and unmapped when it is freed.
# M_MMAP_THRESHOLD: smallest size of such a block, in bytes.
# M_TRIM_THRESHOLD: free bytes at the end of the heap from which on they go back to the system; -1 is never.
Policy = Mapping[int, int]

# What glibc adapts to by itself after blocks of up to 32 MB were freed.
DEFAULT: Policy = {M_MMAP_MAX: 65536, M_MMAP_THRESHOLD: 32 * MB, M_TRIM_THRESHOLD: 64 * MB}
# By default each tensor above 32 MB is mapped anew, and the system zeroes every page at its first touch.
KEEP: Policy = {M_MMAP_MAX: 0, M_MMAP_THRESHOLD: 32 * MB, M_TRIM_THRESHOLD: -1}
# With checkpointing, tensors of many sizes come and go, which leaves gaps in a heap. Mapping them takes time, but
# checkpointing is chosen to save memory.
RELEASE: Policy = {M_MMAP_MAX: 65536, M_MMAP_THRESHOLD: MB, M_TRIM_THRESHOLD: 64 * MB}

active = [DEFAULT]


@contextmanager
def training_memory(device: torch.device, *, recomputes: bool) -> Iterator[None]:
    """Use the policy for a training run while in this context; does nothing on other devices or without glibc.

    Args:
        recomputes: Whether activations are checkpointed.
    """
    if device.type != "cpu" or platform.libc_ver()[0] != "glibc":
        yield
        return
    wanted = RELEASE if recomputes else KEEP
    active.append(wanted)
    apply(wanted)
    try:
        yield
    finally:
        # Contexts of two runs may end in any order.
        active.remove(wanted)
        apply(active[-1])


def apply(wanted: Policy) -> None:
    """Set the parameters of malloc, and return free memory to the system unless it is to be kept."""
    libc = ctypes.CDLL(None)
    for parameter, value in wanted.items():
        libc.mallopt(parameter, value)
    if wanted is not KEEP:
        libc.malloc_trim(0)
