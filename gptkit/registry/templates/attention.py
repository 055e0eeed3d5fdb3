"""An attention to start from: softmax attention, one step to a line."""

import math

from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.nn import SoftmaxAttention, causal_mask


class MineAttention(SoftmaxAttention):
    """Softmax attention over all heads at once.

    Change: how `attend` computes it. The base class brings the projections, the cache, dropout and the options
    `qkv_bias`, `out_bias` and `qk_norm`. Your own options are keyword-only, annotated parameters of a constructor,
    which passes those three on to the base class.

    Promised: the output and its gradients equal those of `naive`, and checkpoints move between the two. For an
    attention that computes something else, inherit `gptkit.interfaces.Attention`: you then write `forward` and
    `new_cache`, and promise only that no position reads a later one.
    """

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        attn_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Compute softmax(q·k / √D)·v over the keys that each query attends to."""
        attn_mask = causal_mask(q, k) if attn_mask is None else attn_mask
        scores = q @ k.mT / math.sqrt(q.shape[3])  # (B, H, T, D) @ (B, H, D, S) -> (B, H, T, S)
        weights = scores.masked_fill(~attn_mask, -math.inf).softmax(dim=-1)
        return self.attn_dropout(weights) @ v  # (B, H, T, S) @ (B, H, S, D) -> (B, H, T, D)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineAttention)
