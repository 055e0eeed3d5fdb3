"""Exact causal attention in tiles that stay in a CPU's cache, with dropout, and little kept for the backward pass.

PyTorch's flash kernel for CPUs refuses dropout, and everything else writes the scores of all pairs to memory,
several times over. Here a tile of queries, of a few rows, meets only keys that it may see; all that happens to its
scores happens while they are in the cache; and the backward pass computes them again instead of reading them back.

Source:
    Dao et al. 2022, arXiv:2205.14135, algorithms 1 and 4 (tiles, and recomputation; here a tile has all its keys,
    so that its softmax needs no mending).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gptkit.nn.dropout import LEVELS, keep

# Of one tile: half of a context of 256, whose upper right quarter is then never computed.
QUERIES = 128
# Of one tile, about: 4 MB in float32, what the second-level caches of two cores hold together.
SCORES = 2**20


@dataclass(frozen=True)
class Tile:
    """Some queries of some rows, with what they see.

    Args:
        rows: Of the batch; their heads are one more batch axis of all that follows, (N, …).
        queries: Which they are.
        keys: The keys up to the last that one of them sees.
        weights: The softmax of the scores, (N, queries, keys).
        kept: The weights that dropout leaves, not scaled.
        keep: Which those are; None is all.
    """

    rows: slice
    queries: slice
    keys: slice
    q: Tensor
    k: Tensor
    v: Tensor
    weights: Tensor
    kept: Tensor
    keep: Tensor | None


def tiles(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None, *, dropped: int, seed: Tensor
) -> Iterator[Tile]:
    """Yield every tile, its weights computed; always the same for the same arguments."""
    B, H, T, D = q.shape
    S = k.shape[2]
    generator = torch.Generator().manual_seed(int(seed))
    causal_mask = torch.ones(QUERIES, QUERIES, dtype=torch.bool, device=q.device).tril()
    size = max(1, SCORES // (H * min(QUERIES, T) * S))
    for rows in slices(B, size):
        # Contiguous once, and the queries scaled once, for the products of all tiles.
        q_r, k_r, v_r = (x[rows].reshape(-1, x.shape[2], D) for x in (q, k, v))
        q_r = q_r / math.sqrt(D)
        for queries in slices(T, QUERIES):
            keys = slice(0, S if attn_mask is not None else S - T + queries.stop)
            scores = q_r[:, queries] @ k_r[:, keys].mT
            if attn_mask is None:
                # Earlier keys are seen by all of the tile's queries.
                n = queries.stop - queries.start
                scores[:, :, -n:].masked_fill_(~causal_mask[:n, :n], -math.inf)
            else:
                seen = attn_mask.expand(B, H, T, S)[rows, :, queries]
                scores.masked_fill_(~seen.reshape(scores.shape), -math.inf)
            weights = scores.softmax(dim=-1)
            # As numbers of the same kind, with which a product takes least time.
            stays = keep(weights, dropped, generator, dtype=q.dtype).to(q.device) if dropped else None
            kept = weights if stays is None else weights * stays
            yield Tile(rows, queries, keys, q_r[:, queries], k_r[:, keys], v_r[:, keys], weights, kept, stays)


def slices(length: int, size: int) -> Iterator[slice]:
    """Yield slices of `size`, the last maybe shorter, that make up a length."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


# An operator is taken by `torch.compile` as it is. Traced, the loop over tiles would take minutes to compile.
@torch.library.custom_op("gptkit::tiled_attention", mutates_args=())
def tiled_attention(  # noqa: PLR0917
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None, dropped: int, seed: Tensor
) -> Tensor:
    """Return the attention of (B, H, T, D) queries over (B, H, S, D) keys and values.

    Args:
        attn_mask: Which key each query sees, broadcastable to (B, H, T, S); None is the causal rule.
        dropped: How many of `LEVELS` equally likely draws drop a weight.
        seed: Of those draws, which the backward pass repeats.
    """
    y = like_queries(q)
    with torch.autocast(q.device.type, enabled=False):
        for tile in tiles(q, k, v, attn_mask, dropped=dropped, seed=seed):
            mean = (tile.kept @ tile.v).mul_(LEVELS / (LEVELS - dropped))  # (N, queries, D)
            here = y[tile.rows, :, tile.queries]
            here.copy_(mean.view(here.shape))
    return y


@torch.library.custom_op("gptkit::tiled_attention_backward", mutates_args=())
def tiled_attention_backward(  # noqa: PLR0917
    gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None, dropped: int, seed: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of queries, keys and values from that of the result."""
    D = q.shape[3]
    dq, dk, dv = (torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
    with torch.autocast(q.device.type, enabled=False):
        for tile in tiles(q, k, v, attn_mask, dropped=dropped, seed=seed):
            dy = gradient[tile.rows, :, tile.queries].reshape(tile.q.shape) * (LEVELS / (LEVELS - dropped))
            d_weights = dy @ tile.v.mT
            if tile.keep is not None:
                d_weights *= tile.keep
            d_scores = torch._softmax_backward_data(d_weights, tile.weights, -1, tile.weights.dtype)
            here = dq[tile.rows, :, tile.queries]
            here.copy_((d_scores @ tile.k).div_(math.sqrt(D)).view(here.shape))
            dk[tile.rows].flatten(0, 1)[:, tile.keys].baddbmm_(d_scores.mT, tile.q)
            dv[tile.rows].flatten(0, 1)[:, tile.keys].baddbmm_(tile.kept.mT, dy)
    return dq, dk, dv


@tiled_attention.register_fake
def like_queries(q: Tensor, *_: object) -> Tensor:
    """Return an empty result, whose heads lie side by side, as the output projection wants them."""
    B, H, T, D = q.shape
    return q.new_empty(B, T, H, D).transpose(1, 2)


@tiled_attention_backward.register_fake
def like_inputs(_: Tensor, q: Tensor, k: Tensor, v: Tensor, *__: object) -> tuple[Tensor, Tensor, Tensor]:
    """Return empty gradients."""
    dq, dk, dv = (x.new_empty(x.shape) for x in (q, k, v))
    return dq, dk, dv


def save_inputs(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG001
    """Keep for the backward pass what the forward pass was given, and nothing of what it computed."""
    q, k, v, attn_mask, dropped, seed = inputs
    ctx.save_for_backward(q, k, v, attn_mask, seed)
    ctx.dropped = dropped  # type: ignore[attr-defined]


def backward(
    ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
    """Return the gradient of each input."""
    q, k, v, attn_mask, seed = ctx.saved_tensors  # type: ignore[attr-defined]
    dropped: int = ctx.dropped  # type: ignore[attr-defined]
    return *tiled_attention_backward(gradient, q, k, v, attn_mask, dropped, seed), None, None, None


tiled_attention.register_autograd(backward, setup_context=save_inputs)
