"""How much memory a device has left."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

PROCESS = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def free_memory(device: torch.device) -> int:
    """Return how many bytes this process can still take on a device.

    On Linux that is what can be had without swapping, within the limits of the control groups it is in; elsewhere
    all that the machine has.
    """
    if device.type == "cuda":
        # What PyTorch holds and does not use is free, too.
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return min([free_of_machine(), *free_of_groups()])


def free_of_machine() -> int:
    """Return how many bytes of main memory are left."""
    if (file := PROCESS / "meminfo").exists():
        return numbers(file.read_text())["MemAvailable:"] * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def free_of_groups() -> Iterator[int]:
    """Yield how many bytes each control group of this process, and each above it, has left under its limit."""
    membership = PROCESS / "self" / "cgroup"
    for line in membership.read_text().splitlines() if membership.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        # The first version of control groups has a tree for each controller, the second one for all.
        root = CGROUPS / controllers
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        )
        inside = root / path.lstrip("/")
        # In a container a group may be known by a name from outside, and its files lie at the root.
        for folder in {root, inside, *(above for above in inside.parents if above.is_relative_to(root))}:
            limit, used = (folder / name for name in names)
            if limit.exists() and (found := limit.read_text().strip()) != "max":
                yield int(found) - int(used.read_text()) + reclaimable(folder / "memory.stat")


def reclaimable(file: Path) -> int:
    """Return how many bytes of a control group are copies of files, which give way to what needs memory."""
    return numbers(file.read_text()).get("inactive_file", 0) if file.exists() else 0


def numbers(text: str) -> dict[str, int]:
    """Return the number behind each name of a file of the system, one to a line."""
    return {words[0]: int(words[1]) for words in map(str.split, text.splitlines()) if len(words) > 1}
