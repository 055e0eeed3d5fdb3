"""Peak memory of a call, beyond what was held before it."""

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
# The profiler's number for the CPU.
CPU = 0


def peak_bytes(call: Callable[[], object], device: torch.device) -> int:
    """Return the most bytes that PyTorch's allocator held at once for a call.

    What was held before it is not counted. If the call frees some of that, it is subtracted on CUDA alone: the
    CPU's profiler does not report it.

    Raises:
        ValueError: If the device is neither cpu nor cuda.
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
    for change in allocation_changes(call):
        held += change
        peak = max(peak, held)
    return peak


def allocation_changes(call: Callable[[], object]) -> list[int]:
    """Return the bytes that a call allocated on the CPU and, as negative numbers, those it freed, in order."""
    # The profiler's events are public only in the file that it writes.
    with TemporaryDirectory() as directory:
        file = Path(directory, "trace.json")
        profiler = profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True)
        with silent_stderr(), profiler:
            call()
        profiler.export_chrome_trace(str(file))
        events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    memory = [event for event in events if event.get("name") == EVENT and event["args"]["Device Type"] == CPU]
    return [int(event["args"]["Bytes"]) for event in sorted(memory, key=lambda event: event["ts"])]


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Discard standard error, where the profiler always announces itself."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
