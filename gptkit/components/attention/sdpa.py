"""Attention by PyTorch's own kernels: flash, memory-efficient or cuDNN, whichever suits the input."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from gptkit.attention import SoftmaxAttention, causal
from gptkit.hookspecs import Register, hookimpl


class SdpaAttention(SoftmaxAttention):
    """PyTorch's `scaled_dot_product_attention`.

    Source:
        Dao 2023, arXiv:2307.08691 (the flash kernel).
    """

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        visible: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Return the attention that PyTorch's kernel for this input computes."""
        dropout = self.dropout if self.training else 0.0
        # `is_causal` skips the masked half but aligns top-left, so it is right for square inputs alone.
        if visible is None and q.shape[2] == k.shape[2]:
            return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        # PyTorch broadcasts a mask that has at least the last two axes.
        visible = torch.atleast_2d(causal(q, k) if visible is None else visible)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=visible, dropout_p=dropout)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `sdpa`."""
    register("sdpa", SdpaAttention)
