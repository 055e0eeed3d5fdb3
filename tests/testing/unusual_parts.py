"""Right parts that are unlike the built-in ones: none may be found broken."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.interfaces import (
    Attention,
    AttentionContext,
    Block,
    BlockParts,
    Dims,
    FeedForward,
    HasReference,
    HasTolerance,
    Norm,
    Tolerance,
)
from gptkit.nn import KVCache, Linear, causal_mask
from tests.testing.quantised_caches import QuantisedCache
from tests.testing.right_parts import SpacedTokenizer


class HandwrittenLayerNorm(Norm, HasReference):
    """LayerNorm from means, held to the built-in one."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.dims = dims
        self.gain, self.shift = nn.Parameter(torch.ones(dims.n_embd)), nn.Parameter(torch.zeros(dims.n_embd))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        centred = wide - wide.mean(dim=-1, keepdim=True)
        y = centred * (centred.square().mean(dim=-1, keepdim=True) + 1e-5).rsqrt()
        return (y * self.gain + self.shift).to(x.dtype)

    def reference(self) -> LayerNorm:
        return LayerNorm(self.dims)

    def reference_weights(self, own: dict[str, Tensor]) -> dict[str, Tensor]:  # type: ignore[override]
        return {"norm.weight": own["gain"], "norm.bias": own["shift"]}


class NormWithoutWeights(Norm):
    """RMSNorm without a gain."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], eps=1e-5)


class ScaleNorm(Norm):
    """One gain for all channels, on the length of the vector. Nguyen and Salazar 2019."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.gain = nn.Parameter(torch.tensor(math.sqrt(dims.n_embd)))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x / (x.square().sum(dim=-1, keepdim=True) + 1e-5).sqrt()


class ZeroCentredRMSNorm(Norm):
    """RMSNorm whose gain is 1 plus a weight that begins at zero, as in Gemma."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.offset = nn.Parameter(torch.zeros(dims.n_embd))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], eps=1e-5) * (1 + self.offset)


class DynamicTanh(Norm):
    """An elementwise squashing in place of a norm. Zhu et al. 2025."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.slope = nn.Parameter(torch.tensor(0.5))
        self.gain, self.shift = nn.Parameter(torch.ones(dims.n_embd)), nn.Parameter(torch.zeros(dims.n_embd))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.slope * x) * self.gain + self.shift


class ZeroFeedForward(GeluFeedForward):
    """Its output projection begins at zero, so that a new layer changes nothing."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        last = [module for module in self.modules() if isinstance(module, nn.Linear)][-1]
        nn.init.zeros_(last.weight)
        if last.bias is not None:
            nn.init.zeros_(last.bias)


class ReZeroFeedForward(GeluFeedForward):
    """Its output is scaled by a weight that begins at zero. Bachlechner et al. 2020."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.alpha * super().forward(x)


class SwitchFeedForward(FeedForward):
    """Each token goes to the likeliest of four experts. Fedus et al. 2021."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.router = Linear(dims.n_embd, 4, bias=False)
        self.experts = nn.ModuleList(Linear(dims.n_embd, dims.n_embd) for _ in range(4))
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Tensor) -> Tensor:
        probability, chosen = self.router(x).softmax(dim=-1).max(dim=-1)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)  # (B, T, C, 4)
        own = outputs.take_along_dim(chosen[..., None, None], dim=-1)[..., 0]
        return self.dropout(F.gelu(own) * probability[..., None])


class SoftExperts(FeedForward):
    """A mean of experts, weighted by a router."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.router = Linear(dims.n_embd, 3)
        self.experts = nn.ModuleList(Linear(dims.n_embd, dims.n_embd) for _ in range(3))
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Tensor) -> Tensor:
        outputs = torch.stack([torch.tanh(expert(x)) for expert in self.experts], dim=-1)
        return self.dropout((outputs * self.router(x).softmax(dim=-1)[:, :, None]).sum(dim=-1))


class MaxoutFeedForward(FeedForward):
    """The larger of two products. Goodfellow et al. 2013."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.inner = Linear(dims.n_embd, 4 * dims.n_embd)
        self.out = Linear(2 * dims.n_embd, dims.n_embd)
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.out(self.inner(x).unflatten(-1, (2, -1)).amax(dim=-2)))


class UnusualAttention(Attention):
    """Projections, and a cache for keys and values; subclasses mix."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.n_head = dims.n_head
        self.qkv = Linear(dims.n_embd, 3 * dims.n_embd, bias=False)
        self.out = Linear(dims.n_embd, dims.n_embd)
        self.resid_dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)
        q, k = ctx.rotate(q, k)
        k, v = ctx.update(k, v)
        T, S = q.shape[2], k.shape[2]
        seen = torch.ones(T, S, dtype=torch.bool, device=x.device).tril(S - T)
        y = self.mix(q, k, v, seen if ctx.attn_mask is None else ctx.attn_mask)
        return self.resid_dropout(self.project(y.transpose(1, 2).flatten(2), x))

    def project(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(y)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~seen, -torch.inf)
        return scores.softmax(dim=-1) @ v

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        weight = self.out.weight
        return KVCache(batch_size, self.n_head, length, weight.shape[0] // self.n_head, like=weight)


class SinkAttention(UnusualAttention):
    """Each head may attend to nothing: weights sum to less than 1. As in gpt-oss."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.sink = nn.Parameter(torch.zeros(dims.n_head))

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~seen, -torch.inf)
        sink = self.sink[:, None, None].expand(*scores.shape[:3], 1)
        return torch.cat((scores, sink), dim=-1).softmax(dim=-1)[..., :-1] @ v


class GatedAttention(UnusualAttention):
    """A gate from the input on the output. Qiu et al. 2025."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.gate = Linear(dims.n_embd, dims.n_embd)

    def project(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(y * torch.sigmoid(self.gate(x)))


class LinearAttention(UnusualAttention):
    """Positive features of queries and keys, divided by their sum. Katharopoulos et al. 2020."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        weights = (F.elu(q) + 1) @ (F.elu(k) + 1).mT * seen
        return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-6) @ v


class SumAttention(UnusualAttention):
    """Linear attention without division: its output grows with what it sees."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return (q @ k.mT * seen) @ v


class SigmoidAttention(UnusualAttention):
    """Each key is weighed by itself. Ramapuram et al. 2024."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        return (torch.sigmoid(q @ k.mT / math.sqrt(q.shape[-1]) - 2) * seen) @ v


class AlibiAttention(UnusualAttention):
    """Scores fall with the distance, by a slope for each head. Press et al. 2021."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        T, S = q.shape[2], k.shape[2]
        distance = torch.arange(S, device=q.device) - torch.arange(S - T, S, device=q.device)[:, None]
        slopes = 2.0 ** -torch.arange(1, self.n_head + 1, device=q.device)[:, None, None].to(q.dtype)
        scores = q @ k.mT / math.sqrt(q.shape[-1]) + slopes * distance
        return scores.masked_fill(~seen, -torch.inf).softmax(dim=-1) @ v


class ZeroAttention(UnusualAttention):
    """Its output projection begins at zero, as in nanochat."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)


class UnrotatedAttention(UnusualAttention):
    """Has nothing to rotate: a decay tells positions apart, as in RetNet without xPos. Sun et al. 2023."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if ctx.rotates:
            raise NotImplementedError(
                "it has no queries and keys to rotate: choose a position that rotates nothing"
            )
        # Counted from the first key, which without a cache is the first token of this pass.
        self.positions = torch.arange(x.shape[1], device=x.device) + (0 if ctx.cache is None else ctx.start_pos)
        return super().forward(x, ctx)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        distance = self.positions[:, None] - torch.arange(k.shape[2], device=q.device)
        return ((q @ k.mT) * (0.9 ** distance.clamp(min=0)).to(q.dtype) * seen) @ v


class Int8CacheAttention(NaiveAttention, HasTolerance):
    """Keeps keys and values in 8 bits, and says what that costs."""

    tolerance = Tolerance(cached=0.03)

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        return QuantisedCache(batch_size, self.n_head, length, self.head_width, bits=8, like=self.out.weight)


class ApproximateAttention(NaiveAttention, HasTolerance):
    """Raises e to the power of a score by (1 + s / n)^n, and says what that costs."""

    tolerance = Tolerance(reference=0.02)
    n = 2**12

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        seen = causal_mask(q, k) if attn_mask is None else attn_mask
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~seen, -torch.inf)
        scores = (scores - scores.amax(dim=-1, keepdim=True).detach()).double()
        weights = ((1 + scores / self.n).clamp(min=0) ** self.n).to(q.dtype)
        return self.attn_dropout(weights / weights.sum(dim=-1, keepdim=True)) @ v


class ReZeroBlock(Block):
    """No norms; each branch is scaled by a weight that begins at zero. Bachlechner et al. 2020."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.attention, self.feed_forward = parts.attention(dims), parts.feed_forward(dims)
        self.alpha = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        x = x + self.alpha[0] * self.attention(x, ctx)
        return x + self.alpha[1] * self.feed_forward(x)


class PostNormBlock(PreNormBlock):
    """Norms after each sum, as in 2017."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        x = self.norm_1(x + self.attention(x, ctx))
        return self.norm_2(x + self.feed_forward(x))


class SandwichBlock(PreNormBlock):
    """Norms before and after each part, as in Gemma 2."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.after_1, self.after_2 = parts.norm(dims), parts.norm(dims)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        x = x + self.after_1(self.attention(self.norm_1(x), ctx))
        return x + self.after_2(self.feed_forward(self.norm_2(x)))


class ParallelBlock(Block):
    """Both branches from one norm, as in GPT-J."""

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.norm = parts.norm(dims)
        self.attention, self.feed_forward = parts.attention(dims), parts.feed_forward(dims)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        y = self.norm(x)
        return x + self.attention(y, ctx) + self.feed_forward(y)


UNUSUAL = (
    HandwrittenLayerNorm,
    NormWithoutWeights,
    ScaleNorm,
    ZeroCentredRMSNorm,
    DynamicTanh,
    ZeroFeedForward,
    ReZeroFeedForward,
    SwitchFeedForward,
    SoftExperts,
    MaxoutFeedForward,
    UnusualAttention,
    SinkAttention,
    GatedAttention,
    LinearAttention,
    SumAttention,
    SigmoidAttention,
    AlibiAttention,
    ZeroAttention,
    UnrotatedAttention,
    Int8CacheAttention,
    ApproximateAttention,
    ReZeroBlock,
    PostNormBlock,
    SandwichBlock,
    ParallelBlock,
    SpacedTokenizer,
)
