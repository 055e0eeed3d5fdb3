"""Measures the floating-point operations per second of matrix products."""

import time
from functools import cache

import torch

from gptkit.seeds import seeded

# Tries of a matrix product, besides the first.
REPEATS = 5
# Square, and tall as in a model: which is fastest depends on the caches and the number of cores.
PRODUCTS = ((1024, 1024, 1024), (2048, 2048, 2048), (16384, 384, 1536))
# A GPU needs larger ones to keep all its cores busy.
CUDA_PRODUCTS = (*PRODUCTS, (4096, 4096, 4096), (8192, 8192, 8192))


@cache
def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Return the highest `matmul_rate` of several matrix products, measured once in a process."""
    products = CUDA_PRODUCTS if device.type == "cuda" else PRODUCTS
    return max(matmul_rate(device, dtype, product) for product in products)


def matmul_rate(device: torch.device, dtype: torch.dtype, product: tuple[int, int, int] = PRODUCTS[0]) -> float:
    """Return the floating-point operations per second of a matrix product, the best of several tries."""
    M, K, N = product  # (M, K) @ (K, N)
    # Random numbers: a GPU draws less power, and so is faster, on equal ones.
    with seeded(device, 0, "products"):
        a, b = (torch.randn(shape, device=device).to(dtype) for shape in ((M, K), (K, N)))
    # Launched without waiting, so that the launch of one is hidden behind the product before it.
    calls = 10 if device.type == "cuda" else 1
    best = float("inf")
    # The first try warms up.
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        for _ in range(calls):
            result = a @ b
        # Reading one element synchronises with an asynchronous device.
        float(result[0, 0])
        best = min(best, time.perf_counter() - began)
    return 2 * M * K * N * calls / best
