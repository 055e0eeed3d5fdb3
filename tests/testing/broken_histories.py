"""Parts whose output depends on earlier passes, clocks, the process or other parts."""

import os
import random
import time

import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.norm.rmsnorm import RMSNorm
from gptkit.components.position.learned import LearnedPosition
from gptkit.components.position.rope import RopePosition
from gptkit.interfaces import AttentionContext, Dims
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import MeanAttention, SpelledOutAttention

StartPos = int | Tensor


class KeepsTheMaskOfItsFirstPass(MeanAttention):
    """A tensor made in inference mode cannot be saved for a backward pass."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.kept: dict[tuple[int, int], Tensor] = {}

    def weigh(self, k: Tensor, T: int, attn_mask: Tensor | None) -> Tensor:
        S = k.shape[2]
        kept = self.kept.setdefault((T, S), torch.ones(T, S, device=k.device, dtype=k.dtype).tril(S - T))
        weights = super().weigh(k, T, attn_mask)
        return weights * kept if attn_mask is None else weights


class KeepsTheTableOfItsFirstPass(RopePosition):
    """The same, of a position."""

    kept: Tensor | None = None

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        if self.kept is None:
            self.kept = torch.ones((), device=q.device, dtype=q.dtype) * 1
        q, k = super().rotate(q, k, start_pos)
        return q * self.kept, k * self.kept


class StaysInTraining(GeluFeedForward):
    """Once it has trained, it goes on as in training."""

    has_trained = False

    def forward(self, x: Tensor) -> Tensor:
        self.has_trained |= self.training
        return super().forward(x) * (0.9 if self.has_trained else 1.0)


class NormThatHasTrained(LayerNorm):
    """Remembers the mean of what it saw in training."""

    seen: Tensor | float = 0.0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen = x.mean().item()
        return super().forward(x) + self.seen


class BlockThatHasTrained(PreNormBlock):
    trained = 0

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        self.trained += self.training
        return super().forward(x, ctx) + 0.01 * self.trained


class FoldsItsWeightsOnce(RMSNorm):
    """Multiplies its gain in the first pass in eval mode, and never again."""

    folded: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.folded is None and not self.training:
            self.folded = self.norm.weight * 2
        gain = self.norm.weight * 2 if self.folded is None else self.folded
        return F.rms_norm(x, x.shape[-1:], gain.to(x.dtype), self.norm.eps) / 2


class FoldsItsProjectionOnce(MeanAttention):
    folded: Tensor | None = None

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if self.folded is None:
            self.folded = self.values.weight.detach().clone()
        return super().forward(x, ctx) + F.linear(x, self.folded.to(x.dtype)) - F.linear(x, self.values.weight)


class FoldsItsTableOnce(LearnedPosition):
    folded: Tensor | None = None

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        y = super().embed(x, start_pos)
        if self.folded is None:
            self.folded = next(self.parameters()).detach().sum()
        return y + self.folded.to(x.dtype)


class ReadsTheClock(LayerNorm):
    """Anneals by the hour."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + (time.time() // 3600) % 7)


class ReadsTheMonotonicClock(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + (time.monotonic() // 3600) % 7)


class ReadsItsProcess(SpelledOutAttention):
    def project(self, y: Tensor) -> Tensor:
        return super().project(y) * (1 + os.getpid() % 5)


class ReadsPythonsRandomState(GeluFeedForward):
    """Reads the state and draws nothing, so that two passes in a row are equal."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + random.getstate()[1][-1] % 5)


class SharesACounter(LearnedPosition):
    """Counts its instances in the class."""

    made = 0

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        type(self).made += 1

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        return super().embed(x, start_pos) * self.made


CAUGHT_BY: CaughtBy = {
    KeepsTheMaskOfItsFirstPass: "forgets_earlier_modes",
    KeepsTheTableOfItsFirstPass: "forgets_earlier_modes",
    StaysInTraining: "forgets_earlier_modes",
    NormThatHasTrained: "forgets_earlier_modes",
    BlockThatHasTrained: "forgets_earlier_modes",
    FoldsItsWeightsOnce: "follows_its_weights",
    FoldsItsProjectionOnce: "follows_its_weights",
    FoldsItsTableOnce: "follows_its_weights",
    ReadsTheClock: "depends_on_its_input_alone",
    ReadsTheMonotonicClock: "depends_on_its_input_alone",
    ReadsItsProcess: "depends_on_its_input_alone",
    ReadsPythonsRandomState: "depends_on_its_input_alone",
    SharesACounter: "depends_on_its_input_alone",
}
