"""Attentions that read the wrong tokens."""

from torch import Tensor

from gptkit.interfaces import AttentionContext
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import TokenAttention


class ReadsTheNextToken(TokenAttention):
    """The token that is to be predicted, which makes training look good."""

    def embed(self, ctx: AttentionContext) -> Tensor:
        return self.table(ctx.tokens.roll(-1, 1))  # type: ignore[union-attr]


class ReadsNoTokenWhileDecoding(TokenAttention):
    """Written text is worse than the loss says."""

    def embed(self, ctx: AttentionContext) -> Tensor:
        return super().embed(ctx) * (ctx.cache is None)


class ReadsTheTokensOfTheFirstRow(TokenAttention):
    """Right with one row."""

    def embed(self, ctx: AttentionContext) -> Tensor:
        return super().embed(ctx)[:1]


CAUGHT_BY: CaughtBy = {
    ReadsTheNextToken: "never_reads_the_future",
    ReadsNoTokenWhileDecoding: "cache_changes_nothing",
    ReadsTheTokensOfTheFirstRow: "rows_are_independent",
}
