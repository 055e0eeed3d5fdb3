"""What this machine's own matrix products reach: the measure of every other rate."""

from collections.abc import Sequence
from functools import cache

import torch

from gptkit.hardware import matmul_rate

Product = tuple[int, int, int]

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
