"""Exact causal attention in tiles that fit a CPU's cache, with dropout, storing little for the backward pass.

PyTorch's flash kernel for CPUs has no dropout, and every other kernel writes the scores of all pairs to memory
several times. Here a tile of queries, from a few rows of the batch, is multiplied only with keys that it attends
to. Mask, softmax and dropout run while the scores are in the cache. The backward pass recomputes them instead of
reading them back.

Source:
    Dao et al. 2022, arXiv:2205.14135, algorithms 1 and 4 (tiles and recomputation; here a tile has all its keys at
    once, so its softmax is never rescaled).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.nn.dropout import LEVELS, keep_mask

# Queries in a tile. Half of a context of 256: the masked upper right quarter of the scores is never computed.
QUERIES = 128
# Scores in a tile, about. 4 MB in float32: the second-level caches of two cores.
SCORES = 2**20


def attention_in_tiles(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H S D"],
    v: Float[Tensor, "B H S D"],
    attn_mask: Bool[Tensor, "..."] | None,
    dropout_p: float,
) -> Float[Tensor, "B H T D"]:
    """Compute `attend` tile by tile, with dropout of weights. PyTorch's global generator seeds the draws.

    The rate is rounded to a multiple of 1 / 65,536.
    """
    dropped_levels = round(dropout_p * LEVELS)
    seed = torch.randint(2**62, ()) if dropped_levels else torch.zeros((), dtype=torch.int64)
    return tiled_forward(q, k, v, attn_mask, dropped_levels, seed)


@dataclass(frozen=True)
class Tile:
    """The attention weights of Q queries over K keys, those up to the last that any of the queries attends to.

    N is the number of rows of the batch times H.

    Args:
        q: Scaled queries.
        kept: `weights` with dropped ones set to 0, the others not yet rescaled.
        keep: The dropout mask, 1 or 0; None without dropout.
    """

    rows: slice
    queries: slice
    keys: slice
    q: Float[Tensor, "N Q D"]
    k: Float[Tensor, "N K D"]
    v: Float[Tensor, "N K D"]
    weights: Float[Tensor, "N Q K"]
    kept: Float[Tensor, "N Q K"]
    keep: Float[Tensor, "N Q K"] | None


def tiles(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None, *, dropped_levels: int, seed: Tensor
) -> Iterator[Tile]:
    """Compute every tile in turn; the same arguments give the same draws."""
    B, H, T, D = q.shape
    S = k.shape[2]
    generator = torch.Generator().manual_seed(int(seed))
    causal = torch.ones(QUERIES, QUERIES, dtype=torch.bool, device=q.device).tril()
    size = max(1, SCORES // (H * min(QUERIES, T) * S))
    for first in range(0, B, size):
        rows = slice(first, first + size)
        # Make them contiguous and scale the queries once, for all tiles of these rows.
        q_r, k_r, v_r = (x[rows].reshape(-1, x.shape[2], D) for x in (q, k, v))
        q_r = q_r / math.sqrt(D)
        for start in range(0, T, QUERIES):
            n = min(QUERIES, T - start)
            queries = slice(start, start + n)
            keys = slice(0, S if attn_mask is not None else S - T + queries.stop)
            scores = q_r[:, queries] @ k_r[:, keys].mT
            if attn_mask is None:
                # All queries of the tile attend to the keys before these.
                scores[:, :, -n:].masked_fill_(~causal[:n, :n], -math.inf)
            else:
                tile_mask = attn_mask.expand(B, H, T, S)[rows, :, queries]
                scores.masked_fill_(~tile_mask.reshape(scores.shape), -math.inf)
            weights = scores.softmax(dim=-1)
            keep = None
            if dropped_levels:
                # In the weights' own dtype, which multiplies fastest.
                keep = keep_mask(weights, dropped_levels, generator, dtype=q.dtype).to(q.device)
            kept = weights if keep is None else weights * keep
            yield Tile(rows, queries, keys, q_r[:, queries], k_r[:, keys], v_r[:, keys], weights, kept, keep)


# A custom operator, which `torch.compile` calls as it is: tracing the loop over tiles would take minutes.
@torch.library.custom_op("gptkit::tiled_attention", mutates_args=())
def tiled_forward(  # noqa: PLR0917
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None, dropped_levels: int, seed: Tensor
) -> Tensor:
    """Compute `attention_in_tiles`.

    Args:
        dropped_levels: How many of `LEVELS` equally likely draws drop a weight.
        seed: Seeds these draws, so that the backward pass repeats them.
    """
    y = like_queries(q)
    with torch.autocast(q.device.type, enabled=False):
        for tile in tiles(q, k, v, attn_mask, dropped_levels=dropped_levels, seed=seed):
            y_tile = (tile.kept @ tile.v).mul_(LEVELS / (LEVELS - dropped_levels))  # (N, queries, D)
            target = y[tile.rows, :, tile.queries]
            target.copy_(y_tile.view(target.shape))
    return y


@torch.library.custom_op("gptkit::tiled_attention_backward", mutates_args=())
def tiled_backward(  # noqa: PLR0917
    gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None, dropped_levels: int, seed: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of q, k and v from that of the output."""
    dq, dk, dv = (torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
    with torch.autocast(q.device.type, enabled=False):
        for tile in tiles(q, k, v, attn_mask, dropped_levels=dropped_levels, seed=seed):
            dy = gradient[tile.rows, :, tile.queries].reshape(tile.q.shape) * (LEVELS / (LEVELS - dropped_levels))
            d_weights = dy @ tile.v.mT
            if tile.keep is not None:
                d_weights *= tile.keep
            d_scores = torch._softmax_backward_data(d_weights, tile.weights, -1, tile.weights.dtype)
            target = dq[tile.rows, :, tile.queries]
            target.copy_((d_scores @ tile.k).div_(math.sqrt(q.shape[3])).view(target.shape))
            dk[tile.rows].flatten(0, 1)[:, tile.keys].baddbmm_(d_scores.mT, tile.q)
            dv[tile.rows].flatten(0, 1)[:, tile.keys].baddbmm_(tile.kept.mT, dy)
    return dq, dk, dv


@tiled_forward.register_fake
def like_queries(q: Tensor, *_: object) -> Tensor:
    """Return an uninitialised output, laid out as (B, T, H, D) in memory: the output projection reads it so."""
    B, H, T, D = q.shape
    return q.new_empty(B, T, H, D).transpose(1, 2)


@tiled_backward.register_fake
def like_inputs(_: Tensor, q: Tensor, k: Tensor, v: Tensor, *__: object) -> tuple[Tensor, Tensor, Tensor]:
    """Return uninitialised gradients of q, k and v."""
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def save_inputs(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG001
    """Save the inputs alone for the backward pass."""
    q, k, v, attn_mask, dropped_levels, seed = inputs
    ctx.save_for_backward(q, k, v, attn_mask, seed)
    ctx.dropped_levels = dropped_levels  # type: ignore[attr-defined]


def backward(
    ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
    """Return the gradient of each input of `tiled_forward`."""
    q, k, v, attn_mask, seed = ctx.saved_tensors  # type: ignore[attr-defined]
    dropped_levels: int = ctx.dropped_levels  # type: ignore[attr-defined]
    return *tiled_backward(gradient, q, k, v, attn_mask, dropped_levels, seed), None, None, None


tiled_forward.register_autograd(backward, setup_context=save_inputs)
