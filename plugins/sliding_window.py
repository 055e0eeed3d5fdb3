"""Sliding-window attention, and a cache of one window."""

import math
from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

import gptkit
from gptkit.hookspecs import Register
from gptkit.interfaces import (
    Attention,
    AttentionContext,
    ConstantSizeCache,
    Dims,
    HasPackedWeights,
    HasReference,
    KeyValueCache,
)
from gptkit.nn import Dropout, Linear


class WindowCache(KeyValueCache, ConstantSizeCache):
    """A ring buffer of the keys and values of the last `window` positions: position p is in slot p mod `window`.

    Each pass must start where the one before it ended.

    Args:
        like: A tensor of the dtype and on the device that the cache is to have.
    """

    def __init__(self, batch_size: int, n_head: int, window: int, head_width: int, *, like: Tensor) -> None:
        self.window = window
        self.keys = like.new_zeros(batch_size, n_head, window, head_width)
        self.values = torch.zeros_like(self.keys)

    def update(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Return the keys and values of the `window` positions before `start_pos`, in order, then the new ones.

        Slots of positions before 0 hold zeros or stale values, which the caller must mask.
        """
        before = (torch.arange(self.window, device=k.device) + start_pos) % self.window
        old_k, old_v = self.keys[:, :, before], self.values[:, :, before]
        # Only the last `window` positions of a longer pass, so that no slot is written twice.
        slots = (torch.arange(k.shape[2], device=k.device)[-self.window :] + start_pos) % self.window
        # Under autocast, keys come in another dtype than the weights that the cache was made like.
        self.keys.index_copy_(2, slots, k[:, :, -self.window :].to(self.keys.dtype))
        self.values.index_copy_(2, slots, v[:, :, -self.window :].to(self.values.dtype))
        # (B, H, window + T, D)
        return torch.cat((old_k.to(k.dtype), k), dim=2), torch.cat((old_v.to(v.dtype), v), dim=2)


class SlidingWindowAttention(Attention, HasPackedWeights, HasReference):
    """Exact softmax attention over the last `window` positions, with a cache of that size.

    Queries are split into chunks of `window`, each of which needs the keys of its own and the previous chunk: it
    computes T · 2 window scores instead of T · T.

    Args:
        window: Positions that a query attends to, its own included. After n layers, information has travelled
            n (`window` - 1) positions.
        qkv_bias: Whether the projection to queries, keys and values has a bias.
        out_bias: Whether the output projection has a bias.

    Raises:
        ValueError: If `window` is larger than `block_size`.

    Source:
        Beltagy et al. 2020, arXiv:2004.05150, section 3.1; Jiang et al. 2023, arXiv:2310.06825, section 2.
    """

    # The default suits the smallest context. The right one depends on the text and the number of layers.
    def __init__(
        self, dims: Dims, *, window: PositiveInt = 4, qkv_bias: bool = False, out_bias: bool = True
    ) -> None:
        super().__init__(dims)
        if window > dims.block_size:
            raise ValueError(
                f"window = {window} is wider than the context, block_size = {dims.block_size}: "
                f"take at most {dims.block_size}, or an attention that sees the whole context, such as 'sdpa'"
            )
        self.dims, self.window, self.dropout = dims, window, dims.dropout
        self.qkv = Linear(dims.n_embd, 3 * dims.n_embd, bias=qkv_bias)
        self.out = Linear(dims.n_embd, dims.n_embd, bias=out_bias)
        self.resid_dropout = Dropout(dims.dropout)

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the attention output."""
        q, k, v = rearrange(self.qkv(x), "B T (three H D) -> three B H T D", three=3, H=self.dims.n_head)
        q, k = ctx.rotate(q, k)
        k, v = ctx.update(k, v)
        # With a cache, position p is column p of `attn_mask`. Without one, the last key is the last column.
        start = ctx.start_pos if isinstance(ctx.cache, WindowCache) else k.shape[2] - q.shape[2]
        y = self.attend(q, k, v, start, ctx.attn_mask)  # (B, H, T, D)
        return self.resid_dropout(self.out(rearrange(y, "B H T D -> B T (H D)")))

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        start: int | Int[Tensor, ""],
        attn_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Compute the attention of each query over its window. The last T keys are those of the queries.

        Args:
            start: Column of `attn_mask` that belongs to the key of the first query.
        """
        B, T, window = q.shape[0], q.shape[2], self.window
        chunk = window if T > window else T
        n = -(-T // chunk)
        # Pad to one window of keys before the first query, and to whole chunks. A negative number crops.
        before, behind = window - (k.shape[2] - T), n * chunk - T
        q = rearrange(F.pad(q, (0, 0, 0, behind)), "B H (n Q) D -> (B n) H Q D", n=n)
        k, v = (F.pad(x, (0, 0, before, behind)).unfold(2, window + chunk, chunk) for x in (k, v))
        k, v = (rearrange(x, "B H n D K -> (B n) H K D") for x in (k, v))
        # Positions of queries and keys, relative to the first query.
        chunks = torch.arange(0, n * chunk, chunk, device=q.device)[:, None, None]
        i = chunks + torch.arange(chunk, device=q.device)[:, None]  # (n, Q, 1)
        j = chunks + torch.arange(-window, chunk, device=q.device)  # (n, 1, K)
        in_window = ((j <= i) & (j > i - window) & (j >= -start))[None, None]
        if attn_mask is not None:
            # Padded queries are cropped below. Here they get some key, because NaN would reach the gradients.
            in_window = in_window & (pick(attn_mask, i, j + start) | (i >= T))
        in_window = rearrange(in_window.expand(B, -1, -1, -1, -1), "B H n Q K -> (B n) H Q K")
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=in_window, dropout_p=dropout)
        return rearrange(y, "(B n) H Q D -> B H (n Q) D", n=n)[:, :, :T]

    def new_cache(self, batch_size: int, length: int) -> WindowCache:
        """Return an empty ring buffer."""
        return WindowCache(batch_size, self.dims.n_head, self.window, self.dims.head_width, like=self.out.weight)

    def packed_rows(self) -> Mapping[Tensor, Sequence[int]]:
        """Return the rows of the projections to queries, keys and values."""
        return {self.qkv.weight: 3 * (self.dims.n_embd,)}

    def reference(self) -> "WindowReference":
        """Build plain attention under a window mask."""
        biases = {"qkv_bias": self.qkv.bias is not None, "out_bias": self.out.bias is not None}
        return WindowReference(self.dims, window=self.window, **biases)


def pick(
    attn_mask: Bool[Tensor, "..."], rows: Int[Tensor, "n Q 1"], columns: Int[Tensor, "n 1 K"]
) -> Bool[Tensor, "B H n Q K"]:
    """Gather the mask of each chunk. Rows and columns out of range are clamped; the caller masks them."""
    # Missing axes become axes of length 1.
    attn_mask = attn_mask[(None,) * (4 - attn_mask.ndim)]
    rows, columns = rows.clamp(max=attn_mask.shape[2] - 1), columns.clamp(0, attn_mask.shape[3] - 1)
    return attn_mask[:, :, rows, columns]


class WindowReference(nn.Module):
    """The reference: a score for every query and key, then a window mask."""

    def __init__(self, dims: Dims, *, window: int, qkv_bias: bool, out_bias: bool) -> None:
        super().__init__()
        self.n_head, self.window = dims.n_head, window
        self.qkv = Linear(dims.n_embd, 3 * dims.n_embd, bias=qkv_bias)
        self.out = Linear(dims.n_embd, dims.n_embd, bias=out_bias)

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the attention output."""
        q, k, v = rearrange(self.qkv(x), "B T (three H D) -> three B H T D", three=3, H=self.n_head)
        q, k = ctx.rotate(q, k)
        k, v = ctx.update(k, v)
        j = torch.arange(k.shape[2], device=x.device)
        i = j[-q.shape[2] :, None]
        in_window = (j <= i) & (j > i - self.window)  # (T, S)
        if ctx.attn_mask is not None:
            in_window = in_window & ctx.attn_mask
        scores = q @ k.mT / math.sqrt(q.shape[3])  # (B, H, T, S)
        y = scores.masked_fill(~in_window, -math.inf).softmax(dim=-1) @ v  # (B, H, T, D)
        return self.out(rearrange(y, "B H T D -> B T (H D)"))


@gptkit.hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `sliding_window`."""
    register("sliding_window", SlidingWindowAttention)
