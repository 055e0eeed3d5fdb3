from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.nn import SoftmaxAttention, batched_attention


class FusedAttention(SoftmaxAttention):
    """All heads at once, in two batched matrix products. Plain PyTorch; stores every score."""

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        attn_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Compute all heads together."""
        return batched_attention(q, k, v, attn_mask, self.dropout if self.training else 0.0)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("fused", FusedAttention)
