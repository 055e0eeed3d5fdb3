"""Broken blocks."""

from torch import Tensor
from torch.nn import functional as F

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.interfaces import Dims, Memory, Parts, Place
from tests.testing.mutant import CaughtBy

First = int | Tensor


class BlockWithoutPlace(PreNormBlock):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return super().forward(x)


class BlockThatSeesAll(PreNormBlock):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return super().forward(x, Place(at.first, at.position, at.memory, at.visible if at.memory else None))


class BlockWithoutTurns(PreNormBlock):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return super().forward(x, Place(at.first, None, at.memory, at.visible))


class BlockOfOneMemory(PreNormBlock):
    """Keeps its memory on itself, for all sequences."""

    memory: Memory | None = None

    def new_memory(self, batch_size: int, length: int) -> Memory:
        self.memory = self.memory or super().new_memory(batch_size, length)
        return self.memory


class BlockThatWaits(PreNormBlock):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return super().forward(x, Place(int(at.first), at.position, at.memory, at.visible))


class BlockWithoutAttention(PreNormBlock):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return x + self.feed_forward(self.norm_2(x))


class BlockWithoutFeedForward(PreNormBlock):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return x + self.norm_2(self.attention(self.norm_1(x), at))


class BlockThatReadsOn(PreNormBlock):
    """Mixes in the token that follows."""

    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return super().forward(x + x.roll(-1, dims=1) / 8, at)


class BlockThatMixesRows(PreNormBlock):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return super().forward(x - x.mean(dim=0) / 8, at)


class BlockInPlace(PreNormBlock):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return x.add_(self.attention(self.norm_1(x.clone()), at)) + self.feed_forward(self.norm_2(x.clone()))


class BlockThatDropsInEval(PreNormBlock):
    def __init__(self, dims: Dims, parts: Parts) -> None:
        super().__init__(dims, parts)
        self.rate = dims.dropout

    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return F.dropout(super().forward(x, at), self.rate)


CAUGHT_BY: CaughtBy = {
    BlockWithoutPlace: "asks_its_place honours_visible cache_changes_nothing cache_keeps_positions",
    BlockThatSeesAll: "honours_visible",
    BlockWithoutTurns: "asks_its_place",
    BlockOfOneMemory: "memories_are_apart",
    BlockThatWaits: "decoding_waits_for_nothing",
    BlockWithoutAttention: "reads_the_past every_parameter_gets_a_gradient",
    BlockWithoutFeedForward: "every_parameter_gets_a_gradient",
    BlockThatReadsOn: "never_reads_the_future",
    BlockThatMixesRows: "rows_are_independent",
    BlockInPlace: "input_is_not_mutated",
    BlockThatDropsInEval: "dropout_is_off_in_eval",
}
