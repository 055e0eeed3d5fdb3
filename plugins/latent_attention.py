"""Multi-head latent attention (MLA): keys and values made of one narrow latent, which is all that is cached."""

import math
from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from jaxtyping import Float, Int
from pydantic import PositiveInt
from torch import Tensor

import gptkit
from gptkit.hookspecs import Register
from gptkit.interfaces import Attention, AttentionContext, Dims, HasPackedWeights, LayerCache
from gptkit.nn import Dropout, Linear, sdpa, write_slots


class LatentCache(LayerCache):
    """The latent and the rotated key of each position: R + D numbers, where keys and values are 2 · H · D.

    Slot i holds position i. Slots not yet written hold zeros; the caller's `attn_mask` must hide them.

    Args:
        like: A tensor of the dtype and on the device that the cache is to have.
    """

    def __init__(self, batch_size: int, length: int, rank: int, head_width: int, *, like: Tensor) -> None:
        self.latents = like.new_zeros(batch_size, 1, length, rank)
        self.keys = like.new_zeros(batch_size, 1, length, head_width)

    def update(
        self, latents: Float[Tensor, "B 1 T R"], keys: Float[Tensor, "B 1 T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B 1 S R"], Float[Tensor, "B 1 S D"]]:
        """Write the latents and keys of positions `start_pos`, `start_pos` + 1, …; return every slot."""
        positions = torch.arange(keys.shape[2], device=keys.device) + start_pos
        return write_slots(self.latents, positions, latents), write_slots(self.keys, positions, keys)


class LatentAttention(Attention, HasPackedWeights):
    """Exact causal softmax attention whose keys and values are linear in a latent of `rank` channels.

    What a position rotates cannot be made of the latent, so each head has a second query, and all heads share a
    second key, which are rotated; the scores of both are added. Both are as wide as a head, since any position
    rotates that width; the paper's are half as wide. Queries are not compressed, as in DeepSeek-V2-Lite.

    Without a cache, keys and values are computed from the latents. With one, the queries are projected into the
    space of the latents instead, so that earlier latents are read as they are.

    Args:
        rank: Channels of the latent, R.

    Source:
        DeepSeek-AI 2024, arXiv:2405.04434, sections 2.1.2 and 2.1.3.
    """

    def __init__(self, dims: Dims, *, rank: PositiveInt = 16) -> None:
        super().__init__(dims)
        self.n_head, self.head_width, self.rank = dims.n_head, dims.head_width, rank
        self.queries = Linear(dims.n_embd, 2 * dims.n_embd, bias=False)
        self.down = Linear(dims.n_embd, rank + dims.head_width, bias=False)
        self.up = Linear(rank, 2 * dims.n_embd, bias=False)
        self.out = Linear(dims.n_embd, dims.n_embd)
        self.dropout, self.resid_dropout = dims.dropout, Dropout(dims.dropout)

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the attention output."""
        q, q_rotated = rearrange(self.queries(x), "B T (two H D) -> two B H T D", two=2, H=self.n_head)
        latents, k_rotated = self.down(x)[:, None].split((self.rank, self.head_width), dim=-1)
        q_rotated, k_rotated = ctx.rotate(q_rotated, k_rotated)
        dropout = self.dropout if self.training else 0.0
        if ctx.cache is None:
            k, v = rearrange(self.up(latents[:, 0]), "B T (two H D) -> two B H T D", two=2, H=self.n_head)
            q, k = torch.cat((q, q_rotated), dim=-1), torch.cat((k, k_rotated.expand_as(k)), dim=-1)
            y = sdpa(q, k, v, ctx.attn_mask, dropout)  # (B, H, T, D)
        else:
            assert isinstance(ctx.cache, LatentCache)
            latents, k_rotated = ctx.cache.update(latents, k_rotated, ctx.start_pos)
            to_k, to_v = rearrange(self.up.weight, "(two H D) R -> two H D R", two=2, H=self.n_head)
            q = torch.cat((q @ to_k, q_rotated), dim=-1)  # (B, H, T, R + D)
            k = torch.cat((latents, k_rotated), dim=-1)  # (B, 1, S, R + D)
            # The kernel divides scores by the root of the width, which is 2 D for the queries before.
            q = q * math.sqrt(k.shape[3] / (2 * self.head_width))
            k, v = (each.expand(-1, self.n_head, -1, -1) for each in (k, latents))
            y = sdpa(q, k, v, ctx.attn_mask, dropout) @ to_v.mT  # (B, H, T, R) @ (H, R, D) -> (B, H, T, D)
        return self.resid_dropout(self.out(rearrange(y, "B H T D -> B T (H D)")))

    def new_cache(self, batch_size: int, length: int) -> LatentCache:
        """Return an empty cache of latents and rotated keys."""
        return LatentCache(batch_size, length, self.rank, self.head_width, like=self.out.weight)

    def packed_rows(self) -> Mapping[Tensor, Sequence[int]]:
        """Return the rows of the queries, of latent and rotated key, and of keys and values."""
        C = self.out.in_features
        return {
            self.queries.weight: (C, C),
            self.down.weight: (self.rank, self.head_width),
            self.up.weight: (C, C),
        }


@gptkit.hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `latent`."""
    register("latent", LatentAttention)
