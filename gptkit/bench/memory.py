"""How much memory a call needs at most, beyond what there was before it."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.profiler import ProfilerActivity, profile

from gptkit.tuning.timing import clock

EVENT = "[memory]"
# What the profiler calls the CPU.
CPU = 0


def peak_bytes(call: Callable[[], object], device: torch.device) -> int:
    """Return the most bytes that PyTorch's allocator held at a time for a call.

    What was held before it is not counted. If the call gives some of that back, it is taken off on CUDA alone: the
    CPU's profiler does not know of it.

    Raises:
        ValueError: If there is no way to know on such a device.
    """
    if device.type == "cuda":
        clock(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        clock(device)
        return torch.cuda.max_memory_allocated(device) - before
    if device.type != "cpu":
        raise ValueError(f"the memory of a call is known on cpu and cuda, not on {device.type}")
    held = peak = 0
    for change in changes(call):
        held += change
        peak = max(peak, held)
    return peak


def changes(call: Callable[[], object]) -> list[int]:
    """Return the bytes that a call took on the CPU and, as negative numbers, those it gave back, in order."""
    # What the profiler finds is public in the file that it writes, and nowhere else.
    with TemporaryDirectory() as directory:
        file = Path(directory, "trace.json")
        with unheard(), profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as found:
            call()
        found.export_chrome_trace(str(file))
        events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    told = [event for event in events if event.get("name") == EVENT and event["args"]["Device Type"] == CPU]
    return [int(event["args"]["Bytes"]) for event in sorted(told, key=lambda event: event["ts"])]


@contextmanager
def unheard() -> Iterator[None]:
    """Send to nowhere what is written to standard error, where the profiler announces itself whatever one asks."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
