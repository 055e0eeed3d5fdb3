"""Attentions that decode one sequence rightly, and not what is written again or comes after a step of training."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.interfaces import AttentionContext, BlockParts, Dims
from gptkit.nn import KVCache
from tests.testing.mutant import CaughtBy
from tests.testing.unusual_parts import UnusualAttention

StartPos = int | Tensor


class AppendingCache(KVCache):
    """Counts what it has stored and ignores the position that it is given."""

    stored = 0

    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        # Beyond its last slot there is none.
        start = min(self.stored, self.keys.shape[2] - k.shape[2])
        self.stored += k.shape[2]
        return super().update(k, v, start)


class AddingCache(KVCache):
    """Adds to what a slot holds, which is right as long as each is written once."""

    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        slots = torch.arange(k.shape[2], device=k.device) + start_pos
        self.keys.index_add_(2, slots, k.to(self.keys.dtype))
        self.values.index_add_(2, slots, v.to(self.values.dtype))
        return self.keys.to(k.dtype), self.values.to(v.dtype)


class KeepsWhatIsWritten(KVCache):
    """Writes only slots that hold zeros."""

    def update(self, k: Tensor, v: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        slots = torch.arange(k.shape[2], device=k.device) + start_pos
        old_k, old_v = self.keys[:, :, slots].to(k.dtype), self.values[:, :, slots].to(v.dtype)
        return super().update(torch.where(old_k == 0, k, old_k), torch.where(old_v == 0, v, old_v), start_pos)


class AppendsToItsCache(UnusualAttention):
    """A position written twice moves all that follow."""

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        like = self.out.weight
        return AppendingCache(batch_size, self.n_head, length, len(like) // self.n_head, like=like)


class AddsToItsCache(UnusualAttention):
    """A position written twice holds the sum."""

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        like = self.out.weight
        return AddingCache(batch_size, self.n_head, length, len(like) // self.n_head, like=like)


class NeverWritesTwice(UnusualAttention):
    """A position written twice holds the first."""

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        like = self.out.weight
        return KeepsWhatIsWritten(batch_size, self.n_head, length, len(like) // self.n_head, like=like)


class KeepsItsProjectionOfDecoding(UnusualAttention):
    """Once it has decoded it keeps its projection in eval mode, whatever it has learnt since."""

    kept: Tensor | None = None

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if ctx.cache is not None and self.kept is None:
            self.kept = self.out.weight.detach().clone()
        return super().forward(x, ctx)

    def project(self, y: Tensor, x: Tensor) -> Tensor:
        weight = self.out.weight if self.kept is None or self.training else self.kept
        return F.linear(y, weight.to(y.dtype), self.out.bias)


class BlockFoldsItsNormToDecode(PreNormBlock):
    """Copies the weights of its first norm when it begins to decode."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.gain: list[Tensor] = []

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if ctx.cache is None:
            return super().forward(x, ctx)
        (gain, *_) = weights = [weight.detach().clone() for weight in self.norm_1.parameters()]
        self.gain = self.gain or weights
        return super().forward(x * (self.gain[0] / gain).to(x.dtype), ctx)


CAUGHT_BY: CaughtBy = {
    AppendsToItsCache: "written_again_is_replaced",
    AddsToItsCache: "written_again_is_replaced",
    NeverWritesTwice: "written_again_is_replaced",
    KeepsItsProjectionOfDecoding: "decodes_what_it_has_learnt",
    BlockFoldsItsNormToDecode: "decodes_what_it_has_learnt",
}
