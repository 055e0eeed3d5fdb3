"""Attentions that declare a limit and do not keep it, or keep one that they do not declare."""

from torch import Tensor

from gptkit.interfaces import AttentionContext
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import LimitedAttention, MeanAttention


class ComputesWhatItRefuses(LimitedAttention):
    """Never asks itself, so a model without a recipe is computed without its positions."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return MeanAttention.forward(self, x, AttentionContext(0, None, ctx.cache, ctx.attn_mask))


class RefusesMoreThanItSays(LimitedAttention):
    """A recipe that packs texts is found good, and fails at its first step."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if ctx.segment_ids is not None:
            raise NotImplementedError("it keeps one state for the whole row")
        return super().forward(x, ctx)


class RefusesWithoutAReason(LimitedAttention):
    """The recipe is refused, and the user does not learn why."""

    def refusal(self, ctx: AttentionContext) -> str | None:
        return "" if ctx.rotates else None


CAUGHT_BY: CaughtBy = {
    ComputesWhatItRefuses: "keeps_its_limits",
    RefusesMoreThanItSays: "keeps_its_limits",
    RefusesWithoutAReason: "keeps_its_limits",
}
