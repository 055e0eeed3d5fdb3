"""Measures how many floating-point operations a second matrix products reach on a device."""

import time
from collections.abc import Sequence
from functools import cache

import torch

from gptkit.seeds import seeded

Product = tuple[int, int, int]

REPEATS = 5
# Square ones, and tall ones as a model has them: which is fastest depends on the caches and the number of cores.
PRODUCTS: tuple[Product, ...] = ((1024, 1024, 1024), (2048, 2048, 2048), (16384, 384, 1536))
# A GPU needs larger ones to keep every core at work.
CUDA_PRODUCTS: tuple[Product, ...] = (*PRODUCTS, (4096, 4096, 4096), (8192, 8192, 8192))


@cache
def matmul_peak(device: torch.device, dtype: torch.dtype, products: Sequence[Product] = ()) -> float:
    """Return the most floating-point operations a second of a matrix product, measured once in a process.

    Args:
        products: Shapes to try, each M, K, N of (M, K) @ (K, N); by default some that suit the device.
    """
    products = products or (CUDA_PRODUCTS if device.type == "cuda" else PRODUCTS)
    return max(matmul_rate(device, dtype, product) for product in products)


def matmul_rate(device: torch.device, dtype: torch.dtype, product: tuple[int, int, int] = (1024,) * 3) -> float:
    """Return how many floating-point operations a second a matrix product does, the best of several tries.

    Args:
        product: M, K and N of (M, K) @ (K, N).
    """
    M, K, N = product
    # Random numbers, because a GPU multiplies equal ones with less power, and so faster.
    with seeded(device, 0, "products"):
        a, b = (torch.randn(shape, device=device).to(dtype) for shape in ((M, K), (K, N)))
    # One after another without waiting, so that the time to start one is hidden behind the one before.
    calls = 10 if device.type == "cuda" else 1
    best = float("inf")
    # The first try warms up.
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        for _ in range(calls):
            result = a @ b
        # Reading one element waits for the product, on a device that works behind one's back.
        float(result[0, 0])
        best = min(best, time.perf_counter() - began)
    return 2 * M * K * N * calls / best
