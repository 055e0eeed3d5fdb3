"""An attention to start from: softmax attention, one step to a line."""

import math

from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.nn import SoftmaxAttention, causal_mask
from gptkit.nn.dropout import dropout


class MineAttention(SoftmaxAttention):
    """Softmax attention, every head at once.

    Change: how `attend` computes it. The base class has the projections, the cache and the options `qkv_bias` and
    `out_bias`. Options of your own are keyword-only, annotated parameters of a constructor, which hands on these
    two.

    Promised: whatever you do, the result and its gradients are those of `naive`, and checkpoints move between the
    two. For an attention that gathers something else, inherit `gptkit.interfaces.Attention`: then `forward` and
    `new_cache` are yours, and all that is promised is that no position reads a later one.
    """

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        attn_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Return, for each query, the mean of the values it sees, weighted by the softmax of q·k / √D."""
        attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
        scores = q @ k.mT / math.sqrt(q.shape[3])  # (B, H, T, D) @ (B, H, D, S) -> (B, H, T, S)
        weights = scores.masked_fill(~attn_mask, -math.inf).softmax(dim=-1)
        weights = dropout(weights, self.dropout, self.training)
        return weights @ v  # (B, H, T, S) @ (B, H, S, D) -> (B, H, T, D)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineAttention)
