"""Attention by `torch.nn.MultiheadAttention`."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn

import gptkit
from gptkit.components.attention.naive import NaiveAttention
from gptkit.hookspecs import Register
from gptkit.interfaces import Attention, AttentionContext, Dims, HasLimits, HasPackedWeights, HasReference
from gptkit.nn import Dropout, InputCache, Linear, causal_mask


class TorchMHAttention(Attention, HasLimits, HasPackedWeights, HasReference):
    """`torch.nn.MultiheadAttention`, with weights that convert to those of `naive`. Not for RoPE.

    The module projects queries, keys and values itself. A position cannot rotate them, and with a cache each pass
    projects the whole context again.

    Args:
        qkv_bias: Whether the projection to queries, keys and values has a bias.
        out_bias: Whether the output projection has a bias.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
    """

    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims)
        self.dims = dims
        self.attention = nn.MultiheadAttention(
            dims.n_embd, dims.n_head, dropout=dims.dropout, bias=qkv_bias, batch_first=True
        )
        nn.init.normal_(self.attention.in_proj_weight, std=0.02)
        # PyTorch has one `bias` for both projections, and initialises by the width.
        self.attention.add_module("out_proj", Linear(dims.n_embd, dims.n_embd, bias=out_bias))
        self.resid_dropout = Dropout(dims.dropout)

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the attention output.

        Raises:
            NotImplementedError: If the position rotates queries and keys.
        """
        self.check_limits(ctx)
        assert ctx.cache is None or isinstance(ctx.cache, InputCache)
        # A view, because for keys that are the queries themselves PyTorch has a fast path, which needs biases.
        inputs = x.view_as(x) if ctx.cache is None else ctx.cache.update(x, ctx.start_pos)  # (B, S, C)
        B, H, T, S = x.shape[0], self.dims.n_head, x.shape[1], inputs.shape[1]
        attn_mask = causal_mask(x[:, None], inputs[:, None]) if ctx.attn_mask is None else ctx.attn_mask
        # PyTorch takes one mask for all, or one per head and row. In its masks True hides a key.
        attn_mask = attn_mask.expand(T, S) if attn_mask.ndim < 3 else attn_mask.expand(B, H, T, S).flatten(0, 1)
        # Tells PyTorch that the mask is the causal one, so that a kernel may skip the masked half.
        square = ctx.attn_mask is None and ctx.cache is None
        y, _ = self.attention(x, inputs, inputs, attn_mask=~attn_mask, need_weights=False, is_causal=square)
        return self.resid_dropout(y)

    def refusal(self, ctx: AttentionContext) -> str | None:
        """Refuse a position that rotates queries and keys."""
        if not ctx.rotates:
            return None
        return (
            f"{type(ctx.position).__name__} rotates queries and keys, and torch.nn.MultiheadAttention makes "
            "them inside, where it cannot: choose a position that adds to embeddings, such as 'learned', or "
            "an attention that lets them be rotated, such as 'sdpa'"
        )

    def new_cache(self, batch_size: int, length: int) -> InputCache:
        """Return an empty cache of layer inputs."""
        return InputCache(batch_size, length, self.dims.n_embd, like=self.attention.in_proj_weight)

    def packed_rows(self) -> Mapping[Tensor, Sequence[int]]:
        """Return the rows of the projections to queries, keys and values."""
        return {self.attention.in_proj_weight: 3 * (self.dims.n_embd,)}

    def reference(self) -> NaiveAttention:
        """Build `naive` with the same options."""
        biases = (self.attention.in_proj_bias is not None, self.attention.out_proj.bias is not None)
        return NaiveAttention(self.dims, qkv_bias=biases[0], out_bias=biases[1])

    def reference_weights(self, own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the weights to those of `naive`. The layout is the same."""
        packed, out = "attention.in_proj_", "attention.out_proj."
        return {name.replace(packed, "qkv.").replace(out, "out."): weight for name, weight in own.items()}


@gptkit.hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `torch_mha`."""
    register("torch_mha", TorchMHAttention)
