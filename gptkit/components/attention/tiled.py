"""Attention in tiles that stay in a CPU's cache."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.attention import SoftmaxAttention, by_products, by_pytorch
from gptkit.dropout import LEVELS
from gptkit.hookspecs import Register, hookimpl
from gptkit.tiled_attention import tiled_attention


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
        visible: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B H T D"]:
        """Return the attention, tile by tile."""
        dropped = round(self.dropout * LEVELS) if self.training else 0
        # One query, as in decoding, makes no tile. Compiled, the two products and all between them are one loop.
        if q.shape[2] == 1 and not dropped:
            attend = by_products if torch.compiler.is_compiling() else by_pytorch
            return attend(q, k, v, visible, 0.0)
        # From PyTorch's own generator, whose seed the caller decides.
        seed = torch.randint(2**62, ()) if dropped else torch.zeros((), dtype=torch.int64)
        return tiled_attention(q, k, v, visible, dropped, seed)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `tiled`."""
    register("tiled", TiledAttention)
