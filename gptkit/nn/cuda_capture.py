"""Captures work on a GPU as a CUDA graph, which launches all of it at once."""

from collections.abc import Callable
from functools import cache
from typing import TypeVar

import torch

from gptkit.errors import UsageError

# As many as `torch.cuda.make_graphed_callables` runs.
WARM_UP_PASSES = 3

Result = TypeVar("Result")


@cache
def capture_stream(device: int) -> torch.cuda.Stream:
    """Return the stream on which the graphs of a device are captured: one, because cuBLAS allocates for each."""
    return torch.cuda.Stream(device)


def capture(run: Callable[[], Result], warm_up: Callable[[], object]) -> tuple[torch.cuda.CUDAGraph, Result]:
    """Warm up, then capture what `run` launches on the current device.

    Returns the graph, and the result that each replay overwrites.

    Args:
        warm_up: Calls `warm_up_passes`, with what has to be undone afterwards.
    """
    device, current = torch.cuda.current_device(), torch.cuda.current_stream()
    stream, keeps_casts = capture_stream(device), torch.is_autocast_cache_enabled()
    # The casts that the caller's autocast keeps would be freed before a replay reads them.
    torch.set_autocast_cache_enabled(False)
    try:
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            warm_up()
        current.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # PyTorch's own stream is on the device of the first graph in this process.
        with torch.cuda.graph(graph, stream=stream):
            result = run()
    finally:
        torch.set_autocast_cache_enabled(keeps_casts)
    return graph, result


def warm_up_passes(run: Callable[[], object]) -> None:
    """Run a few times what is to be captured, because a graph cannot compile or choose a kernel.

    Raises:
        RuntimeError: If the last pass waits for the device. Its traceback shows where; that of a capture does not.
        UsageError: If the last pass draws random numbers on the CPU, which every replay would repeat.
    """
    for _ in range(WARM_UP_PASSES - 1):
        run()
    before, mode = torch.get_rng_state(), torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        run()
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    if not torch.equal(torch.get_rng_state(), before):
        raise UsageError(
            "a part draws random numbers on the CPU, and a CUDA graph would repeat them at each step. Take "
            "another part, or go on without compiling: --set train.compile=false"
        )
