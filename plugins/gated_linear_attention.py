"""Gated linear attention: a state of constant size that forgets, as a plain recurrence and in chunks."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

import gptkit
from gptkit.hookspecs import Register
from gptkit.interfaces import (
    AttentionContext,
    ConstantSizeCache,
    Dims,
    HasPackedWeights,
    HasReference,
    RecurrentAttention,
)
from gptkit.nn import Dropout, Linear

# Logarithm of the decay where a text begins: its exponential is 0, and sums of it are finite.
FORGOTTEN = -1e4


class StateCache(ConstantSizeCache):
    """The state after the last position: a matrix from keys to values for each head."""

    def __init__(self, state: Float[Tensor, "B H D D"]) -> None:
        self.state = state


class GatedLinearAttention(RecurrentAttention, HasPackedWeights):
    """Linear attention whose state decays at a rate that each position chooses for each channel of its keys.

    At each position the state decays, adds the outer product of key and value, and is read by the query. The
    paper's keys are half as wide as its values; here they are as wide, so that any position can rotate them. The
    paper's LayerNorm of each head is here an RMSNorm with 1 added to the mean square: the first output is (q·k) v,
    and divided by its own size it would be the sign of q·k, which rounding may flip.

    Args:
        gate_rank: Rank of the projection to the decay rates.

    Source:
        Yang et al. 2024, arXiv:2312.06635, sections 4.2 and 4.4.
    """

    def __init__(self, dims: Dims, *, gate_rank: PositiveInt = 16) -> None:
        super().__init__(dims)
        self.dims, self.gate_rank = dims, gate_rank
        C = dims.n_embd
        self.qkv = Linear(C, 3 * C, bias=False)
        self.decay = nn.Sequential(Linear(C, gate_rank, bias=False), Linear(gate_rank, C))
        self.gain = nn.Parameter(torch.ones(dims.head_width))
        self.gate = Linear(C, C)
        self.out = Linear(C, C)
        self.resid_dropout = Dropout(dims.dropout)

    @abstractmethod
    def mix(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H T D"],
        v: Float[Tensor, "B H T D"],
        log_decay: Float[Tensor, "B H T D"],
        state: Float[Tensor, "B H D D"],
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B H D D"]]:
        """Return the reading of each query, and the state after the last position."""

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the gated output.

        Raises:
            NotImplementedError: If there is an `attn_mask`, unless it comes from `segment_ids`.
        """
        if ctx.attn_mask is not None and ctx.segment_ids is None:
            raise NotImplementedError(
                "gated linear attention keeps a sum over earlier positions, of which `attn_mask` cannot hide any: "
                "choose a softmax attention, such as 'sdpa'"
            )
        q, k, v = rearrange(self.qkv(x), "B T (three H D) -> three B H T D", three=3, H=self.dims.n_head)
        q, k = ctx.rotate(q * self.dims.head_width**-0.5, k)
        log_decay = rearrange(self.decay(x), "B T (H D) -> B H T D", H=self.dims.n_head)
        # Half precision would round a decay near 1 to 1, and what it adds to a large sum to nothing.
        q, k, v, log_decay = (wide(each) for each in (q, k, v, log_decay))
        # The 16th root, so that a first gate of 1/2 is a decay of 0.96.
        log_decay = F.logsigmoid(log_decay) / 16
        if ctx.segment_ids is not None:
            is_first = torch.diff(ctx.segment_ids, prepend=ctx.segment_ids[:, :1]) != 0  # (B, T)
            log_decay = log_decay.masked_fill(is_first[:, None, :, None], FORGOTTEN)
        cache = self.new_cache(len(x), 1) if ctx.cache is None else ctx.cache
        assert isinstance(cache, StateCache)
        y, state = self.mix(q, k, v, log_decay, cache.state)
        if ctx.cache is not None:
            cache.state.copy_(state)
        y = F.rms_norm(wide(y), self.gain.shape, wide(self.gain), eps=1.0)
        y = rearrange(y, "B H T D -> B T (H D)").to(x.dtype)
        return self.resid_dropout(self.out(y * F.silu(self.gate(x))))

    def new_cache(self, batch_size: int, length: int) -> StateCache:
        """Return a state of zeros."""
        D = self.dims.head_width
        return StateCache(wide(self.out.weight.new_zeros(batch_size, self.dims.n_head, D, D)))

    def packed_rows(self) -> Mapping[Tensor, Sequence[int]]:
        """Return the rows of the projections to queries, keys and values."""
        return {self.qkv.weight: 3 * (self.dims.n_embd,)}


class RecurrentGatedLinearAttention(GatedLinearAttention):
    """One position after another, as the equations say. The reference."""

    def mix(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H T D"],
        v: Float[Tensor, "B H T D"],
        log_decay: Float[Tensor, "B H T D"],
        state: Float[Tensor, "B H D D"],
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B H D D"]]:
        """Update the state for each position, then read it."""
        outputs = []
        for q_t, k_t, v_t, log_t in zip(*(x.unbind(2) for x in (q, k, v, log_decay)), strict=True):
            state = log_t.exp()[..., None] * state + k_t[..., None] * v_t[..., None, :]  # (B, H, D, D)
            outputs.append((q_t[..., None] * state).sum(dim=2))  # (B, H, D)
        return torch.stack(outputs, dim=2), state


class ChunkedGatedLinearAttention(GatedLinearAttention, HasReference):
    """One chunk after another: within it by matrix products, from chunk to chunk by the state.

    Every decay is the exponential of a sum of logarithms that are at most 0. So nothing overflows, as dividing by
    the decay of an earlier position could, and no difference of large sums loses digits.
    """

    # A chunk stores chunk² · D decays for each head.
    chunk = 16

    def mix(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H T D"],
        v: Float[Tensor, "B H T D"],
        log_decay: Float[Tensor, "B H T D"],
        state: Float[Tensor, "B H D D"],
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B H D D"]]:
        """Compute what the queries of a chunk read of its own keys, and of the state before it."""
        outputs = []
        for q_c, k_c, v_c, log_c in zip(*(x.split(self.chunk, dim=2) for x in (q, k, v, log_decay)), strict=True):
            later = torch.ones(2 * (q_c.shape[2],), dtype=q.dtype, device=q.device).tril(-1)
            # From position j to position i: the sum over the positions after j up to i.
            decay = (log_c[:, :, :, None] * later[..., None]).cumsum(dim=2).exp()  # (B, H, i, j, D)
            scores = (q_c[:, :, :, None] * k_c[:, :, None] * decay).sum(dim=-1).tril()  # (B, H, i, j)
            outputs.append(scores @ v_c + (q_c * log_c.cumsum(dim=2).exp()) @ state)
            state = log_c.sum(dim=2).exp()[..., None] * state + (k_c * decay[:, :, -1]).mT @ v_c
        return torch.cat(outputs, dim=2), state

    def reference(self) -> RecurrentGatedLinearAttention:
        """Build the plain recurrence."""
        return RecurrentGatedLinearAttention(self.dims, gate_rank=self.gate_rank)


def wide(x: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Return a tensor in float32, or in float64 if that is its dtype."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@gptkit.hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `gla_recurrent` and `gla_chunked`."""
    register("gla_recurrent", RecurrentGatedLinearAttention)
    register("gla_chunked", ChunkedGatedLinearAttention)
