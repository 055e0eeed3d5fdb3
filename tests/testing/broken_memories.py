"""Attentions whose memory, place or position is broken."""

from typing import ClassVar

import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import Place
from gptkit.kv_cache import KVCache
from tests.testing.broken_attends import Mask
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import SpelledOutAttention

First = int | Tensor
Heads = tuple[Tensor, Tensor, Tensor]


class StuckCache(KVCache):
    def append(self, k: Tensor, v: Tensor, first: First) -> tuple[Tensor, Tensor]:
        return super().append(k, v, 0 * first)


class CacheOfOneRow(KVCache):
    def append(self, k: Tensor, v: Tensor, first: First) -> tuple[Tensor, Tensor]:
        return super().append(k[:1].expand_as(k), v[:1].expand_as(v), first)


class UnwrittenCache(KVCache):
    def __init__(self, batch_size: int, n_head: int, length: int, head_width: int, *, like: Tensor) -> None:
        super().__init__(batch_size, n_head, length, head_width, like=like)
        self.keys, self.values = torch.empty_like(self.keys), torch.empty_like(self.keys)


class HalfCache(KVCache):
    def append(self, k: Tensor, v: Tensor, first: First) -> tuple[Tensor, Tensor]:
        return super().append(k.bfloat16().to(k), v.bfloat16().to(v), first)


class WaitingCache(KVCache):
    def append(self, k: Tensor, v: Tensor, first: First) -> tuple[Tensor, Tensor]:
        return super().append(k, v, int(first))


class SwappedCache(KVCache):
    def append(self, k: Tensor, v: Tensor, first: First) -> tuple[Tensor, Tensor]:
        keys, values = super().append(k, v, first)
        return values, keys


class NeverAdvances(NaiveAttention):
    def new_memory(self, batch_size: int, length: int) -> KVCache:
        return StuckCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class RowsShareACache(NaiveAttention):
    def new_memory(self, batch_size: int, length: int) -> KVCache:
        return CacheOfOneRow(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class StartsFromUnwrittenCache(NaiveAttention):
    def new_memory(self, batch_size: int, length: int) -> KVCache:
        return UnwrittenCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class CachesInBfloat16(NaiveAttention):
    def new_memory(self, batch_size: int, length: int) -> KVCache:
        return HalfCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class AsksTheDeviceWhere(NaiveAttention):
    def new_memory(self, batch_size: int, length: int) -> KVCache:
        return WaitingCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class GivesValuesForKeys(NaiveAttention):
    def new_memory(self, batch_size: int, length: int) -> KVCache:
        return SwappedCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)


class SequencesShareACache(NaiveAttention):
    """One cache of each size, kept by the class."""

    caches: ClassVar[dict[tuple[object, ...], KVCache]] = {}

    def new_memory(self, batch_size: int, length: int) -> KVCache:
        like = self.out.weight
        key = (batch_size, self.n_head, length, self.head_width, like.dtype, like.device)
        return self.caches.setdefault(key, super().new_memory(batch_size, length))


class KeepsItsMemory(NaiveAttention):
    """One cache for all sequences, on the attention itself."""

    memory: KVCache | None = None

    def new_memory(self, batch_size: int, length: int) -> KVCache:
        if self.memory is None:
            self.memory = super().new_memory(batch_size, length)
        return self.memory


class ForgetsEarlierPasses(NaiveAttention):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return super().forward(x, Place(at.first, at.position, None, None if at.memory else at.visible))


class IgnoresItsPlace(NaiveAttention):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return super().forward(x, Place(0, None, at.memory, at.visible))


class IgnoresThePosition(NaiveAttention):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return super().forward(x, Place(at.first, None, at.memory, at.visible))


class TurnsFromZero(SpelledOutAttention):
    def placed(self, q: Tensor, k: Tensor, v: Tensor, at: Place) -> Heads:
        q, k = Place(0 * at.first, at.position).turn(q, k)
        return q, *at.remember(k, v)


class TurnsLaterPassesTooFar(SpelledOutAttention):
    def placed(self, q: Tensor, k: Tensor, v: Tensor, at: Place) -> Heads:
        q, k = Place(at.first + (0 if q.shape[2] > 1 else 1), at.position).turn(q, k)
        return q, *at.remember(k, v)


class TurnsValues(SpelledOutAttention):
    def placed(self, q: Tensor, k: Tensor, v: Tensor, at: Place) -> Heads:
        return super().placed(q, k, at.turn(q, v)[1], at)


class TurnsKeysAlone(SpelledOutAttention):
    def placed(self, q: Tensor, k: Tensor, v: Tensor, at: Place) -> Heads:
        return q, *super().placed(q, k, v, at)[1:]


class TurnsAfterRemembering(SpelledOutAttention):
    def placed(self, q: Tensor, k: Tensor, v: Tensor, at: Place) -> Heads:
        k, v = at.remember(k, v)
        return *at.turn(q, k), v


class SeesItselfAloneBehindAMemory(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        if visible is not None and visible.ndim == 2 and q.shape[2] == 1:
            visible = torch.arange(k.shape[2]) == visible.sum(dim=-1, keepdim=True) - 1
        return super().attend(q, k, v, visible)


class OnlyOneTokenBehindAMemory(NaiveAttention):
    """Drops all but the last of the tokens that come together behind earlier ones."""

    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        if at.memory is not None and x.shape[1] > 1 and not isinstance(at.first, Tensor) and at.first > 0:
            return super().forward(x[:, -1:], at).expand_as(x)
        return super().forward(x, at)


CAUGHT_BY: CaughtBy = {
    NeverAdvances: "cache_changes_nothing cache_keeps_positions memories_are_apart",
    RowsShareACache: "cache_changes_nothing memories_are_apart",
    StartsFromUnwrittenCache: "cache_changes_nothing",
    CachesInBfloat16: "cache_changes_nothing",
    AsksTheDeviceWhere: "decoding_waits_for_nothing",
    GivesValuesForKeys: "cache_changes_nothing memories_are_apart",
    SequencesShareACache: "memories_are_apart",
    KeepsItsMemory: "memories_are_apart",
    ForgetsEarlierPasses: "cache_changes_nothing",
    IgnoresItsPlace: "asks_its_place equals_reference_in_float64",
    IgnoresThePosition: "asks_its_place equals_reference_in_float64",
    TurnsFromZero: "asks_its_place cache_keeps_positions equals_reference_in_float64",
    TurnsLaterPassesTooFar: "cache_keeps_positions",
    TurnsValues: "equals_reference_in_float64",
    TurnsKeysAlone: "equals_reference_in_float64",
    TurnsAfterRemembering: "cache_keeps_positions",
    SeesItselfAloneBehindAMemory: "cache_changes_nothing",
    OnlyOneTokenBehindAMemory: "equals_reference_in_float64",
}
