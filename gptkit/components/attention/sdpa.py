from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.nn import SoftmaxAttention, sdpa


class SdpaAttention(SoftmaxAttention):
    """PyTorch's `scaled_dot_product_attention`: flash, memory-efficient or cuDNN, whichever suits the input.

    Source:
        Dao 2023, arXiv:2307.08691 (the flash kernel).
    """

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        attn_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Compute it by the kernel that PyTorch selects."""
        return sdpa(q, k, v, attn_mask, self.dropout if self.training else 0.0)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("sdpa", SdpaAttention)
