"""Broken attentions that the first version of the kit did not catch."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import Dims
from gptkit.nn import KVCache, causal_mask
from tests.testing.broken_attends import Mask
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import MeanAttention

StartPos = int | Tensor


class SumsInBfloat16(NaiveAttention):
    """Adds up the values of a bfloat16 input one key at a time, rounding each time."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        if q.dtype != torch.bfloat16:
            return super().attend(q, k, v, attn_mask)
        scores = q @ k.mT / math.sqrt(q.shape[3])
        weights = scores.masked_fill(~(causal_mask(q, k) if attn_mask is None else attn_mask), -math.inf)
        weights = (weights - weights.amax(dim=-1, keepdim=True).detach()).exp()
        total, y = torch.zeros_like(weights[..., :1]), torch.zeros_like(q)
        for s in range(k.shape[2]):
            total = total + weights[..., s : s + 1]
            y = y + weights[..., s : s + 1] * v[:, :, s : s + 1]
        return y / total


class WrongFromTheFourthHeadOn(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v, attn_mask) * (torch.arange(q.shape[1]) < 3)[:, None, None]


class WrongBeyondAWidthOf64(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q * (torch.arange(q.shape[3]) < 64), k, v, attn_mask)


class WrongBeyond1024Keys(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
        known = torch.arange(k.shape[2]) < 1024
        return super().attend(q, k, v, attn_mask & known | ~(attn_mask & known).any(dim=-1, keepdim=True))


class WrongInFullTiles(NaiveAttention):
    """Wrong where both lengths are multiples of 16, like a kernel's path without a remainder."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        y = super().attend(q, k, v, attn_mask)
        return y if k.shape[2] % 16 or q.shape[2] % 16 else 1.01 * y


class KeepsItsFirstMask(NaiveAttention):
    """Looks it up by the number of queries alone."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.masks: dict[int, Tensor] = {}

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        if attn_mask is None:
            mask = self.masks.setdefault(q.shape[2], causal_mask(q, k))
            attn_mask = F.pad(mask, (0, max(0, k.shape[2] - mask.shape[1])))[:, : k.shape[2]]
        return super().attend(q, k, v, attn_mask)


class AnotherDropoutInBackward(torch.autograd.Function):
    """Draws a new mask in backward, like a kernel that loses its seed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        ctx.rate = rate
        return F.dropout(x, rate)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return F.dropout(gradients[0], ctx.rate), None


class LosesItsSeedInBackward(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        scores = q @ k.mT / math.sqrt(q.shape[3])
        attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
        weights = scores.masked_fill(~attn_mask, -math.inf).softmax(dim=-1)
        if self.training:
            weights = AnotherDropoutInBackward.apply(weights, self.dropout)  # type: ignore[no-untyped-call]
        return weights @ v


class DropsNoOutput(NaiveAttention):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.resid_dropout.p = 0.0


class DropsTheSameInEachHead(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        scores = q @ k.mT / math.sqrt(q.shape[3])
        attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
        weights = scores.masked_fill(~attn_mask, -math.inf).softmax(dim=-1)
        return weights * F.dropout(torch.ones_like(weights[:, :1]), self.dropout, self.training) @ v


class SeedsTheGeneratorItself(NaiveAttention):
    def __init__(self, dims: Dims) -> None:
        torch.manual_seed(1337)
        super().__init__(dims)


class DrawsFromAGeneratorOfItsOwn(NaiveAttention):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        nn.init.normal_(self.out.weight, std=0.02, generator=torch.Generator().manual_seed(1337))


class LeaksBeyond16Tokens(MeanAttention):
    """Causal between tiles of 16 tokens, and not within those behind the first."""

    def weigh(self, k: Tensor, T: int, attn_mask: Tensor | None) -> Tensor:
        if attn_mask is None and T > 16:
            tile = torch.arange(T) // 16
            attn_mask = (tile <= tile[:, None]) & (torch.ones(T, T, dtype=torch.bool).tril() | (tile > 0))
        return super().weigh(k, T, attn_mask)


class CacheOfTheWholeContext(NaiveAttention):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.block_size = dims.block_size

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        return super().new_cache(batch_size, self.block_size)


CAUGHT_BY: CaughtBy = {
    SumsInBfloat16: "attends_as_reference_from_afar_in_bfloat16",
    WrongFromTheFourthHeadOn: "attends_as_reference_in_float64",
    WrongBeyondAWidthOf64: "equals_reference_when_long_in_float64",
    WrongBeyond1024Keys: "attends_as_reference_from_afar_in_float64 attends_as_reference_from_afar_in_float32",
    WrongInFullTiles: "equals_reference_when_long_in_float64",
    KeepsItsFirstMask: "attend_forgets",
    LosesItsSeedInBackward: "gradients_are_right_in_training",
    DropsNoOutput: "output_dropout_has_its_rate",
    DropsTheSameInEachHead: "dropout_is_independent",
    SeedsTheGeneratorItself: "first_weights_are_drawn",
    DrawsFromAGeneratorOfItsOwn: "first_weights_are_drawn",
    LeaksBeyond16Tokens: "never_reads_the_future",
    CacheOfTheWholeContext: "cache_changes_nothing",
}
