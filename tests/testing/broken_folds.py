"""Parts that keep something of an earlier pass: masks, tables, folded weights and results that have gone stale."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.position.learned import LearnedPosition
from gptkit.interfaces import AttentionContext, BlockParts, Dims
from tests.testing.mutant import CaughtBy
from tests.testing.unusual_parts import UnusualAttention

StartPos = int | Tensor


class RefoldsByAddress(GeluFeedForward):
    """Folds its weights anew when they lie elsewhere, and not when they are written where they lie."""

    folded: tuple[int, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.widen.weight
        if torch.is_grad_enabled():
            return super().forward(x)
        if self.folded is None or self.folded[0] != weight.data_ptr():
            self.folded = (weight.data_ptr(), weight.detach().clone())
        hidden = self.activate(F.linear(x, self.folded[1].to(x.dtype), self.widen.bias))
        return self.resid_dropout(self.narrow(hidden))


class RefoldsWhenItTrains(UnusualAttention):
    """Folds its output projection in eval mode, and forgets it only when it trains."""

    folded: Tensor | None = None

    def train(self, mode: bool = True) -> "RefoldsWhenItTrains":
        self.folded = None if mode else self.folded
        return super().train(mode)

    def project(self, y: Tensor, x: Tensor) -> Tensor:
        if self.training:
            return self.out(y)
        if self.folded is None:
            self.folded = self.out.weight.detach().clone()
        return self.out(y) + F.linear(y, self.folded.to(y.dtype) - self.out.weight.detach().to(y.dtype))


class KeepsWhatHasNoGradient(UnusualAttention):
    """Scales its weights once; if the first pass was without gradients, later ones have none either."""

    scaled: Tensor | None = None

    def project(self, y: Tensor, x: Tensor) -> Tensor:
        if self.scaled is None or self.scaled.requires_grad:
            self.scaled = self.out.weight * 1
        return F.linear(y, self.scaled.to(y.dtype), self.out.bias)


class RemembersByAddress(LayerNorm):
    """Returns its last result if the input lies where the last one lay, which other inputs do later."""

    last: tuple[int, tuple[int, ...], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return super().forward(x)
        if self.last is None or self.last[:2] != (x.data_ptr(), tuple(x.shape)):
            self.last = (x.data_ptr(), tuple(x.shape), super().forward(x))
        return self.last[2].to(x.dtype)


class RemembersByItsSum(GeluFeedForward):
    """Looks its results up by the sum of the input, which is the same in another order."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.results: dict[tuple[object, ...], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() or self.training:
            return super().forward(x)
        key = (x.shape, x.dtype, self.narrow.weight._version, round(float(x.double().sum()), 9))
        if key not in self.results:
            self.results = {key: super().forward(x)}
        return self.results[key]


class UnitTableOfEval(LearnedPosition):
    """Normalises its table once for eval mode."""

    unit: Tensor | None = None

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        positions = torch.arange(x.shape[1], device=x.device) + start_pos
        table = F.normalize(self.table.weight, dim=-1)
        if not self.training:
            self.unit = table.detach() if self.unit is None else self.unit
            table = self.unit
        return x + table[positions].to(x.dtype)


class BlockKeepsItsResults(PreNormBlock):
    """Looks results of eval mode up by their input, although its weights may have changed since."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.results: dict[object, Tensor] = {}

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if self.training or torch.is_grad_enabled() or ctx.cache is not None:
            return super().forward(x, ctx)
        key = (ctx, x.dtype, x.shape, tuple(x.flatten().tolist()))
        return self.results.setdefault(key, super().forward(x, ctx))


class FoldsInTheDtypeOfItsFirstPass(GeluFeedForward):
    """Keeps a transposed copy of its weights in the dtype of its first pass in eval mode."""

    copy: Tensor | None = None
    version: tuple[int, int] = (-1, -1)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() or self.training:
            return super().forward(x)
        weight = self.narrow.weight
        if self.copy is None or self.version != (weight._version, id(weight)):
            self.copy, self.version = weight.detach().to(x.dtype).mT.contiguous(), (weight._version, id(weight))
        y = self.activate(self.widen(x)) @ self.copy.to(x.dtype)
        return y if self.narrow.bias is None else y + self.narrow.bias


CAUGHT_BY: CaughtBy = {
    FoldsInTheDtypeOfItsFirstPass: "depends_on_its_input_alone",
    RefoldsByAddress: "gradients_are_right",
    RefoldsWhenItTrains: "follows_its_weights",
    KeepsWhatHasNoGradient: "forgets_earlier_modes",
    RemembersByAddress: "gradients_are_right",
    RemembersByItsSum: "gradients_are_right",
    UnitTableOfEval: "follows_its_weights",
    BlockKeepsItsResults: "gradients_are_right",
}
