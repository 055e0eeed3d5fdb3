"""Parts that keep something of an earlier pass: masks, tables, folded weights and results that have gone stale."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.position.rope import RopePosition
from gptkit.interfaces import AttentionContext, BlockParts, Dims
from tests.testing.mutant import CaughtBy
from tests.testing.unusual_parts import UnusualAttention


class SumsOverItsLargestBuffer(UnusualAttention):
    """Without gradients it writes weights into its largest buffer, and divides by the sum of all of it."""

    buffer: Tensor | None = None

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        S = k.shape[2]
        if torch.is_grad_enabled():
            return super().mix(q, k, v, seen)
        weights = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~seen, -torch.inf).softmax(dim=-1)
        room = (*weights.shape[:3], max(S, 0 if self.buffer is None else self.buffer.shape[-1]))
        if self.buffer is None or self.buffer.shape != room:
            self.buffer = weights.new_zeros(room)
        self.buffer[..., :S] = weights
        return self.buffer[..., :S] @ v / self.buffer.sum(dim=-1, keepdim=True)


class MasksFromItsLargestPass(UnusualAttention):
    """Cuts the mask of a shorter pass from the upper left of the largest one, though it reads a cache."""

    largest: Tensor | None = None

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        T, S = q.shape[2], k.shape[2]
        if seen.ndim != 2:
            return super().mix(q, k, v, seen)
        if self.largest is None or self.largest.shape[0] < T or self.largest.shape[1] < S:
            self.largest = seen
        return super().mix(q, k, v, self.largest[:T, :S])


class NormWithoutAGradientAfterEval(LayerNorm):
    """Reads `requires_grad` of its gain from the first pass."""

    learns: bool | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.learns is None:
            self.learns = torch.is_grad_enabled()
        return super().forward(x) if self.learns else super().forward(x).detach()


class ScaleMadeInInferenceMode(GeluFeedForward):
    """Makes its scale in the first pass; one made in inference mode cannot be used in a backward pass."""

    scale: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.scale is None:
            self.scale = x.new_ones(()) * 1
        return super().forward(x) * self.scale.to(x.dtype)


class BlockOfAnInferenceTensor(PreNormBlock):
    """Keeps a scale of the residual from its first pass, with the same fault."""

    scale: Tensor | None = None

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if self.scale is None or self.scale.dtype != x.dtype:
            self.scale = torch.full((), 0.5, dtype=x.dtype, device=x.device) + 0.5
        return super().forward(x * self.scale, ctx)


class AttentionLosesItsDropoutInEval(UnusualAttention):
    """Replaces its dropout when it is put in eval mode."""

    def train(self, mode: bool = True) -> "AttentionLosesItsDropoutInEval":
        if not mode:
            self.resid_dropout = nn.Dropout(0.0)
        return super().train(mode)


class BlockKeepsItsFirstPosition(PreNormBlock):
    """Keeps the position of its first pass."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.first: list[AttentionContext] = []

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        self.first = self.first or [ctx]
        position = self.first[0].position
        return super().forward(x, AttentionContext(ctx.start_pos, position, ctx.cache, ctx.attn_mask))


class SharesTablesByWidth(RopePosition):
    """Keeps one table for each width in the class, however long the context of the next is or what its rate is."""

    tables: ClassVar[dict[int, tuple[Tensor, Tensor]]] = {}

    def __init__(self, dims: Dims, *, theta: float = 10_000.0) -> None:
        super().__init__(dims, theta=theta)
        if not self.cos.is_meta:
            self.cos, self.sin = self.tables.setdefault(dims.head_width, (self.cos, self.sin))


CAUGHT_BY: CaughtBy = {
    SumsOverItsLargestBuffer: "depends_on_its_input_alone",
    MasksFromItsLargestPass: "cache_changes_nothing_when_large",
    NormWithoutAGradientAfterEval: "forgets_earlier_modes",
    ScaleMadeInInferenceMode: "forgets_earlier_modes",
    BlockOfAnInferenceTensor: "forgets_earlier_modes",
    AttentionLosesItsDropoutInEval: "dropout_follows_the_seed",
    BlockKeepsItsFirstPosition: "uses_its_context",
    SharesTablesByWidth: "depends_on_its_input_alone",
}
