"""Right parts that are easier to break in one place than the built-in ones."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.feed_forward.swiglu import SwigluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.corpus import SplitCorpus
from gptkit.interfaces import Attention, Dims, FeedForward, HasReference, Memory, Place
from gptkit.kv_cache import KVCache
from gptkit.layers import Linear


class SpelledOutAttention(NaiveAttention):
    """`naive` whose place and output are methods."""

    def placed(self, q: Tensor, k: Tensor, v: Tensor, at: Place) -> tuple[Tensor, Tensor, Tensor]:
        q, k = at.turn(q, k)
        return q, *at.remember(k, v)

    def project(self, y: Tensor) -> Tensor:
        return self.out(y)

    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)
        y = self.attend(*self.placed(q, k, v, at), at.visible)
        return self.drop_out(self.project(y.transpose(1, 2).flatten(2)))


class MeanAttention(Attention):
    """A mean of what a position sees, weighted by the keys alone: an attention of no family."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.n_head = dims.n_head
        self.keys = Linear(dims.n_embd, dims.n_embd)
        self.values = Linear(dims.n_embd, dims.n_embd)
        self.drop_out = nn.Dropout(dims.dropout)

    def heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_head, -1)).transpose(1, 2)

    def weigh(self, k: Tensor, T: int, visible: Tensor | None) -> Tensor:
        """Return the weight of each key for each query, which depends on the key alone."""
        S = k.shape[2]
        visible = torch.ones(T, S, dtype=torch.bool, device=k.device).tril(S - T) if visible is None else visible
        scores = k.mean(dim=-1).unsqueeze(2).expand(-1, -1, T, -1)
        return scores.masked_fill(~visible, -torch.inf).softmax(dim=-1)

    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        k = self.heads(self.keys(x))
        k, v = at.remember(at.turn(k, k)[1], self.heads(self.values(x)))
        y = self.weigh(k, x.shape[1], at.visible) @ v
        return self.drop_out(y.transpose(1, 2).flatten(2))

    def new_memory(self, batch_size: int, length: int) -> Memory:
        weight = self.values.weight
        return KVCache(batch_size, self.n_head, length, weight.shape[0] // self.n_head, like=weight)


class BareNorm(LayerNorm):
    """`layernorm` without options."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)


class ProvenFeedForward(GeluFeedForward, HasReference):
    """A feed-forward that claims to equal `gelu`."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.dims = dims

    def reference(self) -> nn.Module:
        return GeluFeedForward(self.dims)


class SplitSwigluFeedForward(FeedForward, HasReference):
    """`swiglu` with a layer for each half, whose weights are packed for its reference."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.dims = dims
        width = SwigluFeedForward(dims).narrow.in_features
        self.gate, self.value = Linear(dims.n_embd, width, bias=False), Linear(dims.n_embd, width, bias=False)
        self.narrow = Linear(width, dims.n_embd, bias=False)
        self.drop_out = nn.Dropout(dims.dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop_out(self.narrow(F.silu(self.gate(x)) * self.value(x)))

    def reference(self) -> nn.Module:
        return SwigluFeedForward(self.dims)

    def reference_weights(self, own: "dict[str, Tensor]") -> "dict[str, Tensor]":  # type: ignore[override]
        packed = torch.cat((own["gate.weight"], own["value.weight"]))
        return {"gate_and_value.weight": packed, "narrow.weight": own["narrow.weight"]}


class BottlesCorpus(SplitCorpus):
    """A song."""

    def read(self) -> str:
        return "".join(f"{n} green bottles, hanging on the wall;\n" for n in range(60))
