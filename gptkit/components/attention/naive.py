import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.nn import SoftmaxAttention, causal_mask


class NaiveAttention(SoftmaxAttention):
    """One head at a time, one equation to a line. The reference that all others must equal."""

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        attn_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Compute one head after another."""
        attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
        attn_mask = attn_mask.expand(*q.shape[:3], k.shape[2])  # (B, H, T, S)
        heads = []
        for q_h, k_h, v_h, mask_h in zip(*(x.unbind(1) for x in (q, k, v, attn_mask)), strict=True):
            scores = q_h @ k_h.mT / math.sqrt(q.shape[3])  # (B, T, D) @ (B, D, S) -> (B, T, S)
            weights = scores.masked_fill(~mask_h, -math.inf).softmax(dim=-1)
            heads.append(self.attn_dropout(weights) @ v_h)  # (B, T, S) @ (B, S, D) -> (B, T, D)
        return torch.stack(heads, dim=1)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("naive", NaiveAttention)
