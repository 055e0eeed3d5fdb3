"""The base class of exact softmax attentions: projections, cache and dropout; subclasses compute the softmax."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.interfaces import Attention, AttentionContext, Dims, HasPackedWeights
from gptkit.nn.dropout import Dropout, dropout
from gptkit.nn.kv_cache import KVCache
from gptkit.nn.layers import Linear


def causal_mask(q: Float[Tensor, "B H T D"], k: Float[Tensor, "B K S D"]) -> Bool[Tensor, "T S"]:
    """Return the causal `attn_mask`, aligned bottom-right: query i attends to keys up to S - T + i."""
    T, S = q.shape[2], k.shape[2]
    return torch.ones(T, S, dtype=torch.bool, device=q.device).tril(S - T)


def sdpa(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H S D"],
    v: Float[Tensor, "B H S E"],
    attn_mask: Bool[Tensor, "..."] | None,
    dropout_p: float,
) -> Float[Tensor, "B H T E"]:
    """Compute `attend` by the kernel that PyTorch selects, with dropout of weights at rate `dropout_p`.

    Values may have another width, E, than queries and keys.
    """
    # `is_causal` skips the masked half, but aligns top-left: right only where T = S.
    if attn_mask is None and q.shape[2] == k.shape[2]:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout_p, is_causal=True)
    # PyTorch broadcasts a mask only if it has at least two axes.
    attn_mask = torch.atleast_2d(causal_mask(q, k) if attn_mask is None else attn_mask)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask, dropout_p=dropout_p)


def batched_attention(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H S D"],
    v: Float[Tensor, "B H S D"],
    attn_mask: Bool[Tensor, "..."] | None,
    dropout_p: float,
) -> Float[Tensor, "B H T D"]:
    """Compute `attend` by two batched products, with the heads as one more batch axis, and dropout of weights."""
    attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
    # Scaling the queries costs T·D multiplications, scaling the scores T·S.
    scores = (q / math.sqrt(q.shape[3])) @ k.mT  # (B, H, T, D) @ (B, H, D, S) -> (B, H, T, S)
    weights = scores.masked_fill(~attn_mask, -math.inf).softmax(dim=-1)
    return dropout(weights, dropout_p, training=True) @ v  # (B, H, T, D)


class HeadNorm(nn.RMSNorm):
    """RMSNorm over the channels of each head, in the precision of its input even where autocast lowers that."""

    def __init__(self, head_width: int) -> None:
        super().__init__(head_width, eps=1e-6)

    def forward(self, x: Float[Tensor, "B H T D"]) -> Float[Tensor, "B H T D"]:
        """Normalise each head of each position."""
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class SoftmaxAttention(Attention, HasPackedWeights):
    """Exact causal softmax attention. Subclasses define `attend`, and differ only in how they compute it.

    To inherit this class is to promise that `attend` equals that of `naive`. All subclasses have the same packed
    projections, so a checkpoint moves between them unchanged.

    Dropout acts on the attention weights and on the output. A subclass that computes the weights applies
    `self.attn_dropout` to them; one that calls a kernel passes it the rate, `self.dropout` in training and 0 in
    eval mode.

    Args:
        qkv_bias: Whether the projection to queries, keys and values has a bias.
        out_bias: Whether the output projection has a bias.
        qk_norm: Whether the queries and keys of each head are normalised to root mean square 1, and then scaled by
            weights that all heads share, before positions rotate them.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.2; `qk_norm` is from Henry et al. 2020, arXiv:2010.04245,
        with RMSNorm in place of their L2 norm, as in Yang et al. 2025, arXiv:2505.09388, section 2.
    """

    def __init__(
        self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True, qk_norm: bool = False
    ) -> None:
        super().__init__(dims)
        self.n_head, self.head_width = dims.n_head, dims.head_width
        self.qkv = Linear(dims.n_embd, 3 * dims.n_embd, bias=qkv_bias)
        self.out = Linear(dims.n_embd, dims.n_embd, bias=out_bias)
        self.q_norm = HeadNorm(dims.head_width) if qk_norm else None
        self.k_norm = HeadNorm(dims.head_width) if qk_norm else None
        self.attn_dropout = Dropout(dims.dropout)
        self.resid_dropout = Dropout(dims.dropout)

    @property
    def dropout(self) -> float:
        """Rate of the dropout on attention weights, in training and in eval mode."""
        return self.attn_dropout.p

    @abstractmethod
    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        attn_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Compute softmax(q·k / √D)·v over the keys that each query attends to.

        Args:
            attn_mask: True where a query attends to a key; broadcastable to (B, H, T, S). None is the causal mask,
                aligned bottom-right. Every query must have at least one key.
        """

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the attention output."""
        q, k, v = rearrange(self.qkv(x), "B T (three H D) -> three B H T D", three=3, H=self.n_head)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = ctx.rotate(q, k)
        k, v = ctx.update(k, v)
        y = self.attend(q, k, v, ctx.attn_mask)  # (B, H, T, D)
        return self.resid_dropout(self.out(rearrange(y, "B H T D -> B T (H D)")))

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        """Return an empty key/value cache for `length` positions."""
        return KVCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)

    def packed_rows(self) -> Mapping[Tensor, Sequence[int]]:
        """Return the rows of the projections to queries, keys and values."""
        return {self.qkv.weight: 3 * (self.out.in_features,)}
