"""Randomness is derived, not carried: every draw comes from the seed and what the draw is for."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *purpose: int | str) -> int:
    """Return a seed of 63 bits for one purpose, such as `derive(1337, "dropout", step, micro_step, rank)`."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *purpose: int | str) -> torch.Generator:
    """Return a generator on the CPU for one purpose."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(device: torch.device, seed: int, *purpose: int | str) -> Iterator[None]:
    """Draw what is drawn inside from one purpose's seed, and leave the caller's random state as it was."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        value = derive(seed, *purpose)
        # Not torch.manual_seed, which would also reseed every other GPU.
        torch.default_generator.manual_seed(value)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(value)
        elif device.type == "mps":
            torch.mps.manual_seed(value)
        yield
