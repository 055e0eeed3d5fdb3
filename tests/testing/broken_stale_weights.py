"""Parts whose copies of their weights have gone stale."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.interfaces import AttentionContext
from tests.testing.mutant import CaughtBy
from tests.testing.unusual_parts import UnusualAttention


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


class KeepsKeysOfItsPrefix(UnusualAttention):
    """Once it has decoded it keeps that projection in eval mode, whatever it has learnt since."""

    kept: Tensor | None = None

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if ctx.cache is None:
            return super().forward(x, ctx)
        if self.kept is None:
            self.kept = self.out.weight.detach().clone()
        return super().forward(x, ctx)

    def project(self, y: Tensor, x: Tensor) -> Tensor:
        weight = self.out.weight if self.kept is None or self.training else self.kept
        return F.linear(y, weight.to(y.dtype), self.out.bias)


CAUGHT_BY: CaughtBy = {
    FoldsInTheDtypeOfItsFirstPass: "depends_on_its_input_alone",
    KeepsKeysOfItsPrefix: "decodes_what_it_has_learnt",
}
