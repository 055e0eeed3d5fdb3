"""Parts that are right where little is asked, and wrong beyond a length, a number of heads, tokens or steps."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.interfaces import AttentionContext
from tests.testing.mutant import CaughtBy
from tests.testing.unusual_parts import SwitchFeedForward, UnusualAttention


class RestForgetsWhatCameBefore(UnusualAttention):
    """Takes 32 queries at a time; those that are left over see only the keys among themselves."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        T, S = q.shape[2], k.shape[2]
        if T == S and T > 32 and T % 32:
            late = torch.arange(T, device=q.device) >= T // 32 * 32
            seen = seen & (~late[:, None] | late)
        return super().mix(q, k, v, seen)


class SixtyFifthSeesItselfAlone(UnusualAttention):
    """The first query of the second tile of 64 has no tile before it."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        if q.shape[2] > 64 and q.shape[2] == k.shape[2]:
            alone = torch.arange(q.shape[2], device=q.device) == 64
            seen = torch.where(alone[:, None], alone, seen)
        return super().mix(q, k, v, seen)


class TilesSeeAheadAtTheirSeam(UnusualAttention):
    """The last query of each full tile of 48 sees the first key of the next."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        if q.shape[2] == k.shape[2]:
            last = torch.arange(q.shape[2], device=q.device) % 48 == 47
            first = torch.arange(k.shape[2], device=q.device) % 48 == 0
            ahead = last[:, None] & first & torch.ones_like(seen[..., :, :]).tril(1)
            seen = seen | ahead
        return super().mix(q, k, v, seen)


class ExpertsHaveNoRoom(SwitchFeedForward):
    """An expert takes 64 tokens; those that come later are dropped."""

    def forward(self, x: Tensor) -> Tensor:
        chosen = F.one_hot(self.router(x).argmax(dim=-1).flatten(), 4)
        turn = (chosen.cumsum(dim=0) * chosen).sum(dim=-1)
        return super().forward(x) * (turn <= 64).view(*x.shape[:2], 1)


class WideLayersInHalves(GeluFeedForward):
    """Beyond 1,024 tokens the layer is computed in two halves, and the second half is added to itself."""

    def activate(self, x: Tensor) -> Tensor:
        y = super().activate(x)
        if x.numel() // x.shape[-1] <= 1024:
            return y
        first, second = y.tensor_split(2, dim=-1)
        return torch.cat((first, second + y.mean(dim=(0, 1))[first.shape[-1] :]), dim=-1)


class BlockAddsItsSeamTwice(PreNormBlock):
    """Takes 48 positions of the feed-forward at a time, which overlap by one."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        y = super().forward(x, ctx)
        seam = (torch.arange(x.shape[1], device=x.device) % 48 == 0) & (x.shape[1] > 48)
        return y + self.feed_forward(self.norm_2(y)) * seam[:, None]


CAUGHT_BY: CaughtBy = {
    RestForgetsWhatCameBefore: "cache_changes_nothing_when_large",
    SixtyFifthSeesItselfAlone: "cache_changes_nothing_when_large",
    TilesSeeAheadAtTheirSeam: "cache_changes_nothing_when_large",
    ExpertsHaveNoRoom: "dropout_keeps_the_mean",
    WideLayersInHalves: "dropout_keeps_the_mean",
    BlockAddsItsSeamTwice: "cache_changes_nothing_when_large",
}
