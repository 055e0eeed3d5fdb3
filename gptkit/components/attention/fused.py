"""Attention over all heads in one batched product."""

import math

from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.attention import SoftmaxAttention, causal
from gptkit.dropout import dropout
from gptkit.hookspecs import Register, hookimpl


class FusedAttention(SoftmaxAttention):
    """All heads at once: the heads are one more batch axis of the two products."""

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        visible: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Return the attention of all heads together."""
        visible = causal(q, k) if visible is None else visible
        # Scaling the queries touches T·D numbers, scaling the scores T·S.
        scores = (q / math.sqrt(q.shape[3])) @ k.mT  # (B, H, T, D) @ (B, H, D, S) -> (B, H, T, S)
        weights = scores.masked_fill(~visible, -math.inf).softmax(dim=-1)
        return dropout(weights, self.dropout, self.training) @ v  # (B, H, T, D)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `fused`."""
    register("fused", FusedAttention)
