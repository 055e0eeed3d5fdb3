"""An attention to start from: softmax attention, one step to a line."""

import math

from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.attention import SoftmaxAttention, causal
from gptkit.dropout import dropout
from gptkit.hookspecs import Register, hookimpl


class MineAttention(SoftmaxAttention):
    """Softmax attention, every head at once.

    Change: how `attend` computes it. The base class has the projections, the cache and the options `qkv_bias` and
    `out_bias`. Options of your own are keyword-only, annotated parameters of a constructor, which hands on these
    two.

    Promised: whatever you do, the result and its gradients are those of `naive`, and checkpoints move between the
    two. For an attention that gathers something else, inherit `gptkit.interfaces.Attention`: then `forward` and
    `new_memory` are yours, and all that is promised is that no position reads a later one.
    """

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        visible: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Return, for each query, the mean of the values it sees, weighted by the softmax of q·k / √D."""
        visible = causal(q, k) if visible is None else visible
        scores = q @ k.mT / math.sqrt(q.shape[3])  # (B, H, T, D) @ (B, H, D, S) -> (B, H, T, S)
        weights = scores.masked_fill(~visible, -math.inf).softmax(dim=-1)
        weights = dropout(weights, self.dropout, self.training)
        return weights @ v  # (B, H, T, S) @ (B, H, S, D) -> (B, H, T, D)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineAttention)
