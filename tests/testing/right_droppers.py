"""A right softmax attention whose dropout of weights is easy to break."""

import math

from torch import Tensor

from gptkit.components.attention.fused import FusedAttention
from gptkit.nn import causal_mask


class WeightDroppingAttention(FusedAttention):
    """`fused`, with a method for the dropout of weights."""

    def dropped(self, weights: Tensor) -> Tensor:
        return self.attn_dropout(weights)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        seen = causal_mask(q, k) if attn_mask is None else attn_mask
        scores = (q @ k.mT / math.sqrt(q.shape[3])).masked_fill(~seen, -math.inf)
        return self.dropped(scores.softmax(dim=-1)) @ v
