"""The plain way to compute grouped-query attention, for attentions that name it as their reference."""

import math

from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.interfaces import AttentionContext, Dims
from gptkit.nn.layers import Linear
from gptkit.nn.softmax_attention import causal_mask


class RepeatedKeys(nn.Module):
    """Ordinary attention in which query head h attends to key head h // (n_head / kv_heads).

    Source:
        Ainslie et al. 2023, arXiv:2305.13245, section 2.2.
    """

    def __init__(self, dims: Dims, *, kv_heads: int, qkv_bias: bool, out_bias: bool) -> None:
        super().__init__()
        self.dims, self.kv_heads = dims, kv_heads
        self.qkv = Linear(dims.n_embd, (dims.n_head + 2 * kv_heads) * dims.head_width, bias=qkv_bias)
        self.out = Linear(dims.n_embd, dims.n_embd, bias=out_bias)

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the attention output."""
        heads = rearrange(self.qkv(x), "B T (heads D) -> B heads T D", D=self.dims.head_width)
        q, k, v = heads.split((self.dims.n_head, self.kv_heads, self.kv_heads), dim=1)
        group = self.dims.n_head // self.kv_heads
        k, v = (repeat(x, "B K T D -> B (K group) T D", group=group) for x in (k, v))  # (B, H, T, D)
        q, k = ctx.rotate(q, k)
        attn_mask = causal_mask(q, k) if ctx.attn_mask is None else ctx.attn_mask
        scores = q @ k.mT / math.sqrt(q.shape[3])  # (B, H, T, T)
        y = scores.masked_fill(~attn_mask, -math.inf).softmax(dim=-1) @ v  # (B, H, T, D)
        return self.out(rearrange(y, "B H T D -> B T (H D)"))
