"""What becomes of the memory of freed tensors on a CPU: glibc keeps it for the next ones, or gives it back."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch

MB = 2**20
# How `mallopt` numbers its parameters, in glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How glibc gets memory and gives it back.

    Args:
        mapped: How many blocks may lie outside the heap, each mapped for itself and given back once it is freed.
        mapped_from: Bytes from which on a block does.
        trimmed_from: Bytes that may lie free at the heap's end before they are given back; -1 is any number.
    """

    mapped: int
    mapped_from: int
    trimmed_from: int


# What glibc comes to by itself once blocks of up to 32 MB were freed.
USUAL = Policy(mapped=65536, mapped_from=32 * MB, trimmed_from=64 * MB)
# Each tensor above 32 MB would be mapped anew, and the system then fills every page with zeros as it is touched. A
# step of `gpt_small` took 6.6 s so and 6.2 s with the memory kept, at a peak of 3.4 and 3.5 GB.
KEPT = Policy(mapped=0, mapped_from=32 * MB, trimmed_from=-1)
# Where activations are computed again, memory is what counts, and tensors of many sizes come and go: a heap would
# keep gaps between them, and take up to 2.6 times as much. To map them takes time, so this is a choice.
GIVEN_BACK = Policy(mapped=65536, mapped_from=MB, trimmed_from=64 * MB)

in_force = [USUAL]


def training_memory(device: torch.device, *, recomputes: bool) -> AbstractContextManager[None]:
    """Return the context that a training run is in.

    Args:
        recomputes: Whether activations are computed again in place of kept.
    """
    if device.type != "cpu":
        return nullcontext()
    return policy(GIVEN_BACK if recomputes else KEPT)


@contextmanager
def policy(wanted: Policy) -> Iterator[None]:
    """Let a policy be in force while in this context; without glibc, do nothing."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    in_force.append(wanted)
    put_in_force(wanted)
    try:
        yield
    finally:
        in_force.remove(wanted)
        put_in_force(in_force[-1])


def put_in_force(wanted: Policy) -> None:
    """Tell glibc, and let it give back what lies free by another policy."""
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_MAX, wanted.mapped)
    libc.mallopt(M_MMAP_THRESHOLD, wanted.mapped_from)
    libc.mallopt(M_TRIM_THRESHOLD, wanted.trimmed_from)
    if wanted is not KEPT:
        libc.malloc_trim(0)
