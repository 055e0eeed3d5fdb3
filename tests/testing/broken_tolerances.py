"""Parts that declare by how much they depart, and depart by more."""

import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import HasTolerance, Tolerance
from gptkit.nn import KVCache
from tests.testing.mutant import CaughtBy
from tests.testing.quantised_caches import QuantisedCache
from tests.testing.unusual_parts import ApproximateAttention, Int8CacheAttention


class DeclaresTooLittle(Int8CacheAttention):
    """Declares a hundredth of what 8 bits cost."""

    tolerance = Tolerance(cached=Int8CacheAttention.tolerance.cached / 100)


class CachesThreeBits(Int8CacheAttention):
    """Declares what 8 bits cost, and keeps 3."""

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        return QuantisedCache(batch_size, self.n_head, length, self.head_width, bits=3, like=self.out.weight)


class ApproximatesWorse(ApproximateAttention):
    """Its output is larger by three times what it declares."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        return super().attend(q, k, v, attn_mask) * (1 + 3 * self.tolerance.reference)


class DeclaresItsCacheAlone(NaiveAttention, HasTolerance):
    """Its cache may depart, and what departs is the pass itself."""

    tolerance = Tolerance(cached=0.05)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        return torch.lerp(super().attend(q, k, v, attn_mask), torch.zeros_like(q), 0.01)


CAUGHT_BY: CaughtBy = {
    DeclaresTooLittle: "cache_changes_nothing cache_keeps_positions",
    CachesThreeBits: "cache_changes_nothing cache_keeps_positions caches_are_apart",
    ApproximatesWorse: "equals_reference_in_float64 attends_as_reference_in_float32",
    DeclaresItsCacheAlone: "equals_reference_in_float64 attends_as_reference_in_float64",
}
