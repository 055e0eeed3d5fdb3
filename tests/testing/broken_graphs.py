"""Parts that do not compile to one graph, or differ once compiled."""

import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.interfaces import AttentionContext
from tests.testing.mutant import CaughtBy


class BreaksTheGraph(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1.0 if x.abs().max().item() < 1e9 else 0.0)


class BreaksTheGraphInAttend(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        torch._dynamo.graph_break()
        return super().forward(x, ctx)


class AnotherWhenCompiled(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1.5 if torch.compiler.is_compiling() else 1.0)


class KnowsOneLengthWhenCompiled(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1.5 if torch.compiler.is_compiling() and x.shape[1] != 5 else 1.0)


class CountsItsTokens(NaiveAttention):
    """Recompiles for each token, because its count is a Python int."""

    count = 0

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        self.count += 1
        return super().forward(x, ctx) * (1.0 if self.count > 0 else 0.0)


class BranchesOnStartPos(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(
            x, ctx if ctx.start_pos > 0 else AttentionContext(0, ctx.position, ctx.cache, ctx.attn_mask)
        )


CAUGHT_BY: CaughtBy = {
    BreaksTheGraph: "compiles_to_one_graph compiles_for_any_length",
    BreaksTheGraphInAttend: "compiles_to_one_graph decoding_compiles_once",
    AnotherWhenCompiled: "compiles_to_one_graph",
    KnowsOneLengthWhenCompiled: "compiles_for_any_length",
    CountsItsTokens: "decoding_compiles_once",
    BranchesOnStartPos: "decoding_compiles_once decoding_waits_for_nothing",
}
