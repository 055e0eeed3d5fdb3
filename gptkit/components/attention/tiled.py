import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.nn import SoftmaxAttention, attention_in_tiles, batched_attention, sdpa


class TiledAttention(SoftmaxAttention):
    """Tiles queries to fit the CPU cache; recomputes weights in backward. For training on a CPU with dropout.

    Source:
        Dao et al. 2022, arXiv:2205.14135.
    """

    def attend(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H S D"],
        v: Float[Tensor, "B H S D"],
        attn_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Compute one tile of queries after another."""
        dropout_p = self.dropout if self.training else 0.0
        # Decoding has one query and nothing to tile. Compiled, all of `batched_attention` becomes a single loop.
        if q.shape[2] == 1 and not dropout_p:
            attend = batched_attention if torch.compiler.is_compiling() else sdpa
            return attend(q, k, v, attn_mask, dropout_p)
        return attention_in_tiles(q, k, v, attn_mask, dropout_p)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("tiled", TiledAttention)
