"""Caches of keys and values in few bits, for parts that declare by how much that departs."""

import torch
from torch import Tensor

from gptkit.nn import KVCache


class QuantisedCache(KVCache):
    """Rounds the keys and values of each position and head to integers of some bits, with a scale of their own."""

    def __init__(self, *shape: int, bits: int, like: Tensor) -> None:
        self.most = 2 ** (bits - 1) - 1
        self.integers = torch.zeros(2, *shape, dtype=torch.int8, device=like.device)  # (2, B, H, S, D)
        self.scales = like.new_zeros(2, *shape[:-1], 1)

    def update(self, k: Tensor, v: Tensor, start_pos: int | Tensor) -> tuple[Tensor, Tensor]:
        slots = torch.arange(k.shape[2], device=k.device) + start_pos
        both = torch.stack((k, v)).to(self.scales.dtype)  # (2, B, H, T, D)
        scales = both.abs().amax(dim=-1, keepdim=True).clamp(min=torch.finfo(both.dtype).tiny) / self.most
        self.integers.index_copy_(3, slots, (both / scales).round().to(torch.int8))
        self.scales.index_copy_(3, slots, scales)
        keys, values = (self.integers * self.scales).to(k.dtype)
        return keys, values
