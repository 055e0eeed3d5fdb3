"""Parts that take a pass of one token for decoding."""

import torch
from torch import Tensor

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.position.learned import LearnedPosition
from gptkit.interfaces import AttentionContext
from tests.testing.mutant import CaughtBy
from tests.testing.unusual_parts import UnusualAttention

StartPos = int | Tensor


class NoGradientAtOneToken(UnusualAttention):
    """Takes a pass of one token for decoding, which needs no gradient."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return super().mix(q, k, v.detach() if q.shape[2] == 1 else v, seen)


class FeedsOneTokenWithoutAGradient(GeluFeedForward):
    """Computes one token by the weights' data."""

    def activate(self, x: Tensor) -> Tensor:
        return super().activate(x.detach() if x.shape[1] == 1 else x)


class NormOfOneTokenWithoutItsGain(LayerNorm):
    """One token needs no gradient of the gain, it says."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return x + (y - x).detach() if x.shape[:2].numel() == 1 else y


class BlockOfOneTokenWithoutAGradient(PreNormBlock):
    """Runs its attention without gradients for one token."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and x.shape[1] > 1):
            mixed = self.attention(self.norm_1(x), ctx)
        x = x + mixed
        return x + self.feed_forward(self.norm_2(x))


class LearnsNothingFromOneToken(LearnedPosition):
    """Takes a pass of one token for decoding."""

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        y = super().embed(x, start_pos)
        return x + (y - x).detach() if x.shape[1] == 1 else y


CAUGHT_BY: CaughtBy = {
    NoGradientAtOneToken: "gradients_are_right_when_there_is_one_token",
    FeedsOneTokenWithoutAGradient: "gradients_are_right_when_there_is_one_token",
    NormOfOneTokenWithoutItsGain: "gradients_are_right_when_there_is_one_token",
    BlockOfOneTokenWithoutAGradient: "gradients_are_right_when_there_is_one_token",
    LearnsNothingFromOneToken: "gradients_are_right_when_there_is_one_token",
}
