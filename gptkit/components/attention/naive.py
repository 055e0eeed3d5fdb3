"""Attention as the textbook writes it."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.nn import SoftmaxAttention, causal_mask
from gptkit.nn.dropout import dropout


class NaiveAttention(SoftmaxAttention):
    """One head at a time, one equation to a line. The reference for all others."""

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        attn_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Return the attention of each head in turn."""
        attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
        attn_mask = attn_mask.expand(*q.shape[:3], k.shape[2])  # (B, H, T, S)
        heads = []
        for q_h, k_h, v_h, visible_h in zip(*(each.unbind(1) for each in (q, k, v, attn_mask)), strict=True):
            scores = q_h @ k_h.mT / math.sqrt(q.shape[3])  # (B, T, D) @ (B, D, S) -> (B, T, S)
            weights = scores.masked_fill(~visible_h, -math.inf).softmax(dim=-1)
            heads.append(dropout(weights, self.dropout, self.training) @ v_h)  # (B, T, D)
        return torch.stack(heads, dim=1)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `naive`."""
    register("naive", NaiveAttention)
