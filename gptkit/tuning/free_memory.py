"""Finds how much memory a device has left."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

PROCESS, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def free_memory(device: torch.device) -> int:
    """Return how many bytes this process can still allocate on a device.

    On Linux: without swapping, and within the limits of its control groups. Elsewhere all main memory counts
    as free.
    """
    if device.type == "cuda":
        # Memory that PyTorch has reserved and does not use is free too.
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    meminfo = numbers(PROCESS / "meminfo")
    all_memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([meminfo["MemAvailable:"] * 1024 if meminfo else all_memory, *free_of_groups()])


def free_of_groups() -> Iterator[int]:
    """Yield the bytes that each control group of this process, and each parent, has left under its limit."""
    membership = PROCESS / "self" / "cgroup"
    for line in membership.read_text().splitlines() if membership.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        # Version 1 of control groups has a tree for each controller, version 2 one for all.
        root = CGROUPS / controllers
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        )
        inside = root / path.lstrip("/")
        # In a container the path may be that of the host, while the files lie at the root.
        for folder in {root, inside, *(above for above in inside.parents if above.is_relative_to(root))}:
            limit, used = (folder / name for name in names)
            if limit.exists() and (found := limit.read_text().strip()) != "max":
                # The kernel can drop the page cache of a group.
                cached = numbers(folder / "memory.stat").get("inactive_file", 0)
                yield int(found) - int(used.read_text()) + cached


def numbers(file: Path) -> dict[str, int]:
    """Parse lines of a name and a number; empty if there is no such file."""
    lines = map(str.split, file.read_text().splitlines() if file.exists() else ())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1}
