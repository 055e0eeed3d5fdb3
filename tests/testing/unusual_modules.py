"""Right feed-forwards, norms, positions and blocks that are unlike the built-in ones."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.position.learned import LearnedPosition
from gptkit.components.position.rope import RopePosition
from gptkit.components.position.sinusoidal import SinusoidalPosition
from gptkit.interfaces import AttentionContext, Block, BlockParts, Dims, FeedForward, Norm
from gptkit.nn import Linear
from tests.testing.right_feed_forwards import InnerDroppingFeedForward
from tests.testing.right_positions import SpelledOutRope

StartPos = int | Tensor


class GatedFeedForward(FeedForward):
    """GELU of one product times another. Shazeer 2020, arXiv:2002.05202."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.gate, self.value = Linear(dims.n_embd, 3 * dims.n_embd), Linear(dims.n_embd, 3 * dims.n_embd)
        self.narrow = Linear(3 * dims.n_embd, dims.n_embd)
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.narrow(F.gelu(self.gate(x)) * self.value(x)))


class TwoExpertsFeedForward(FeedForward):
    """The two likeliest of four experts, weighted by the softmax of their two scores. As in Mixtral."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.router = Linear(dims.n_embd, 4, bias=False)
        self.experts = nn.Parameter(torch.randn(4, dims.n_embd, dims.n_embd) / dims.n_embd**0.5)
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Tensor) -> Tensor:
        best, chosen = self.router(x).topk(2, dim=-1)
        outputs = F.gelu(torch.einsum("btc,ecd->bted", x, self.experts.to(x.dtype)))
        own = outputs.take_along_dim(chosen[..., None], dim=2)
        return self.dropout((own * best.softmax(dim=-1)[..., None]).sum(dim=2))


class UnitRowsFeedForward(GeluFeedForward):
    """Rows of its first layer are divided by their lengths, as in nGPT. Loshchilov et al. 2024."""

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.linear(x, F.normalize(self.widen.weight, dim=-1), self.widen.bias)
        return self.resid_dropout(self.narrow(self.activate(hidden)))


class NormOfGroups(Norm):
    """RMSNorm of each head's channels by themselves."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.n_head = dims.n_head
        self.gain = nn.Parameter(torch.ones(dims.n_embd))

    def forward(self, x: Tensor) -> Tensor:
        heads = x.unflatten(-1, (self.n_head, -1))
        return F.rms_norm(heads, heads.shape[-1:], eps=1e-5).flatten(-2) * self.gain


class NormOfAbsolutes(Norm):
    """Divides by the mean of absolutes, in float32 at least."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.gain = nn.Parameter(torch.ones(dims.n_embd))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        return (wide / (wide.abs().mean(dim=-1, keepdim=True) + 1e-4) * self.gain).to(x.dtype)


class PartialRope(SpelledOutRope):
    """Rotates the faster half of the pairs and leaves the others, as in GPT-NeoX."""

    def angles(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        angles = super().angles(positions, dtype)
        return angles * (torch.arange(angles.shape[-1], device=angles.device) < (angles.shape[-1] + 1) // 2)


class InterpolatedRope(SpelledOutRope):
    """Positions are divided by four, for contexts four times as long. Chen et al. 2023."""

    def angles(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        return super().angles(positions / 4, dtype)


class LearnedAndRotated(RopePosition):
    """Adds a learned vector and rotates as well."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.learned = LearnedPosition(dims)

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        return self.learned.embed(x, start_pos)


class ScaledSinusoidal(SinusoidalPosition):
    """Waves at a learned scale, which begins small."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.scale = nn.Parameter(torch.tensor(0.1))

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        return x + self.scale * super().embed(torch.zeros_like(x), start_pos)


class SharedNormBlock(Block):
    """One norm for both branches."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.norm = parts.norm(dims)
        self.attention, self.feed_forward = parts.attention(dims), parts.feed_forward(dims)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        x = x + self.attention(self.norm(x), ctx)
        return x + self.feed_forward(self.norm(x))


class MacaronBlock(Block):
    """Half a feed-forward before the attention and half a one after it. Lu et al. 2019."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.norms = nn.ModuleList(parts.norm(dims) for _ in range(3))
        self.attention = parts.attention(dims)
        self.before, self.after = parts.feed_forward(dims), parts.feed_forward(dims)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        x = x + self.before(self.norms[0](x)) / 2
        x = x + self.attention(self.norms[1](x), ctx)
        return x + self.after(self.norms[2](x)) / 2


class ScaledResidualBlock(PreNormBlock):
    """Each branch and the stream have a learned scale for each channel. Touvron et al. 2021."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.stream = nn.Parameter(torch.ones(2, dims.n_embd))
        self.branch = nn.Parameter(torch.full((2, dims.n_embd), 0.1))

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        x = self.stream[0] * x + self.branch[0] * self.attention(self.norm_1(x), ctx)
        return self.stream[1] * x + self.branch[1] * self.feed_forward(self.norm_2(x))


UNUSUAL = (
    GatedFeedForward,
    TwoExpertsFeedForward,
    UnitRowsFeedForward,
    InnerDroppingFeedForward,
    NormOfGroups,
    NormOfAbsolutes,
    SpelledOutRope,
    PartialRope,
    InterpolatedRope,
    LearnedAndRotated,
    ScaledSinusoidal,
    SharedNormBlock,
    MacaronBlock,
    ScaledResidualBlock,
)
