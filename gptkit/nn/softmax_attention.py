"""What `naive`, `fused`, `sdpa`, `tiled` share: one layout of the weights, and the promise to compute the same."""

import math
from abc import abstractmethod

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from gptkit.interfaces import Attention, AttentionContext, Dims
from gptkit.nn.dropout import Dropout, dropout
from gptkit.nn.kv_cache import KVCache
from gptkit.nn.layers import Linear


def causal_mask(q: Float[Tensor, "B H T D"], k: Float[Tensor, "B H S D"]) -> Bool[Tensor, "T S"]:
    """Return which key each query sees under the causal rule: query i sees keys up to S - T + i."""
    T, S = q.shape[2], k.shape[2]
    return torch.ones(T, S, dtype=torch.bool, device=q.device).tril(S - T)


def sdpa(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H S D"],
    v: Float[Tensor, "B H S D"],
    attn_mask: Bool[Tensor, "..."] | None,
    drop: float,
) -> Float[Tensor, "B H T D"]:
    """Return what `attend` does, by the kernel that PyTorch has for this input."""
    # `is_causal` skips the masked half but aligns top-left, so it is right for square inputs alone.
    if attn_mask is None and q.shape[2] == k.shape[2]:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=drop, is_causal=True)
    # PyTorch broadcasts a mask that has at least the last two axes.
    attn_mask = torch.atleast_2d(causal_mask(q, k) if attn_mask is None else attn_mask)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask, dropout_p=drop)


def batched_attention(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H S D"],
    v: Float[Tensor, "B H S D"],
    attn_mask: Bool[Tensor, "..."] | None,
    drop: float,
) -> Float[Tensor, "B H T D"]:
    """Return what `attend` does, all heads at once: they are one more batch axis of the two products."""
    attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
    # Scaling the queries touches T·D numbers, scaling the scores T·S.
    scores = (q / math.sqrt(q.shape[3])) @ k.mT  # (B, H, T, D) @ (B, H, D, S) -> (B, H, T, S)
    weights = scores.masked_fill(~attn_mask, -math.inf).softmax(dim=-1)
    return dropout(weights, drop, training=True) @ v  # (B, H, T, D)


class SoftmaxAttention(Attention):
    """Exact causal softmax attention. Subclasses differ only in how `attend` computes it.

    To inherit this class is to claim that `attend` equals the one of `naive`. The packed projections are
    the same in all of them, so that a checkpoint moves from one to another unchanged.

    Args:
        qkv_bias: Whether the projection to queries, keys and values has a bias.
        out_bias: Whether the output projection has one.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
    """

    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims)
        self.n_head, self.head_width, self.dropout = dims.n_head, dims.head_width, dims.dropout
        self.qkv = Linear(dims.n_embd, 3 * dims.n_embd, bias=qkv_bias)
        self.out = Linear(dims.n_embd, dims.n_embd, bias=out_bias)
        self.resid_dropout = Dropout(dims.dropout)

    @abstractmethod
    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        attn_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Return, for each query, the mean of the values it sees, weighted by the softmax of q·k / √D.

        Args:
            attn_mask: Broadcastable to (B, H, T, S); None is the causal rule. Every query must see a key.
        """

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return what each position gathered from those it may see."""
        q, k, v = rearrange(self.qkv(x), "B T (three H D) -> three B H T D", three=3, H=self.n_head)
        q, k = ctx.rotate(q, k)
        k, v = ctx.update(k, v)
        y = self.attend(q, k, v, ctx.attn_mask)  # (B, H, T, D)
        return self.resid_dropout(self.out(rearrange(y, "B H T D -> B T (H D)")))

    def new_cache(self, batch_size: int, length: int) -> KVCache:
        """Return an empty cache of keys and values."""
        return KVCache(batch_size, self.n_head, length, self.head_width, like=self.out.weight)
