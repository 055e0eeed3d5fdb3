"""Attentions that are right for six heads, or but at the seams of their tiles."""

import math

import torch
from torch import Tensor

from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import SpelledOutAttention
from tests.testing.unusual_parts import UnusualAttention


class NinthHeadReadsTheFirst(SpelledOutAttention):
    """Indexes the keys of a head modulo 8."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        heads = torch.arange(k.shape[1], device=k.device) % 8
        return super().attend(q, k[:, heads], v, attn_mask)


class SeventhHeadLosesItsScale(SpelledOutAttention):
    """Only the first six heads are scaled."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        late = (torch.arange(q.shape[1], device=q.device) >= 6)[:, None, None]
        return super().attend(torch.where(late, q * math.sqrt(q.shape[3]), q), k, v, attn_mask)


class TilesSeeAheadAtTheirSeam(UnusualAttention):
    """The last query of each tile of 48 sees the first key of the next."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        if q.shape[2] == k.shape[2] and seen.ndim == 2:
            last = torch.arange(q.shape[2], device=q.device) % 48 == 47
            first = torch.arange(k.shape[2], device=q.device) % 48 == 0
            seen = seen | (last[:, None] & first & torch.ones_like(seen).tril(1))
        return super().mix(q, k, v, seen)


CAUGHT_BY: CaughtBy = {
    NinthHeadReadsTheFirst: "attends_as_reference_when_large",
    SeventhHeadLosesItsScale: "attends_as_reference_when_large",
    TilesSeeAheadAtTheirSeam: "never_reads_the_future_when_large",
}
