"""Attention in tiles that stay in a CPU's cache."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.hookspecs import Register, hookimpl
from gptkit.nn import SoftmaxAttention, batched_attention, sdpa
from gptkit.nn.dropout import LEVELS
from gptkit.nn.tiled_attention import tiled_attention


class TiledAttention(SoftmaxAttention):
    """Tiles of queries, their weights computed again in the backward pass. For training on a CPU, with dropout.

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
        """Return the attention, tile by tile."""
        dropped = round(self.dropout * LEVELS) if self.training else 0
        # One query, as in decoding, makes no tile. Compiled, the two products and all between them are one loop.
        if q.shape[2] == 1 and not dropped:
            attend = batched_attention if torch.compiler.is_compiling() else sdpa
            return attend(q, k, v, attn_mask, 0.0)
        # From PyTorch's own generator, whose seed the caller decides.
        seed = torch.randint(2**62, ()) if dropped else torch.zeros((), dtype=torch.int64)
        return tiled_attention(q, k, v, attn_mask, dropped, seed)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `tiled`."""
    register("tiled", TiledAttention)
