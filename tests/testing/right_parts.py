"""Right parts that are easier to break in one place than the built-in ones."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.corpus.text import TextCorpus
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.feed_forward.swiglu import SwigluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.data import SplitCorpus
from gptkit.interfaces import (
    Attention,
    AttentionContext,
    ConstantSizeCache,
    Dims,
    FeedForward,
    HasLimits,
    HasReference,
    LayerCache,
    RecurrentAttention,
    Tokenizer,
)
from gptkit.nn import KVCache, Linear

Heads = tuple[Tensor, Tensor, Tensor]
WORD = re.compile(r" ?\w+|\W")


class SpelledOutAttention(NaiveAttention):
    """`naive`, with methods for the context and the output projection."""

    def normalised(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        return (q, k) if self.q_norm is None or self.k_norm is None else (self.q_norm(q), self.k_norm(k))

    def rotated_and_cached(self, q: Tensor, k: Tensor, v: Tensor, ctx: AttentionContext) -> Heads:
        q, k = ctx.rotate(q, k)
        return q, *ctx.update(k, v)

    def project(self, y: Tensor) -> Tensor:
        return self.out(y)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)
        y = self.attend(*self.rotated_and_cached(*self.normalised(q, k), v, ctx), ctx.attn_mask)
        return self.resid_dropout(self.project(y.transpose(1, 2).flatten(2)))


class MeanAttention(Attention):
    """A mean of the values that a position sees, weighted by the keys alone: not a `SoftmaxAttention`."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.n_head = dims.n_head
        self.keys = Linear(dims.n_embd, dims.n_embd)
        self.values = Linear(dims.n_embd, dims.n_embd)
        self.resid_dropout = nn.Dropout(dims.dropout)

    def heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_head, -1)).transpose(1, 2)

    def weigh(self, k: Tensor, T: int, attn_mask: Tensor | None) -> Tensor:
        """Return the weight of each key for each query, which depends on the key alone."""
        S = k.shape[2]
        attn_mask = (
            torch.ones(T, S, dtype=torch.bool, device=k.device).tril(S - T) if attn_mask is None else attn_mask
        )
        scores = k.mean(dim=-1).unsqueeze(2).expand(-1, -1, T, -1)
        return scores.masked_fill(~attn_mask, -torch.inf).softmax(dim=-1)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        k = self.heads(self.keys(x))
        k, v = ctx.update(ctx.rotate(k, k)[1], self.heads(self.values(x)))
        y = self.weigh(k, x.shape[1], ctx.attn_mask) @ v
        return self.resid_dropout(y.transpose(1, 2).flatten(2))

    def new_cache(self, batch_size: int, length: int) -> LayerCache:
        weight = self.values.weight
        return KVCache(batch_size, self.n_head, length, weight.shape[0] // self.n_head, like=weight)


class LimitedAttention(MeanAttention, HasLimits):
    """`MeanAttention` for positions that rotate nothing."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        self.check_limits(ctx)
        return super().forward(x, ctx)

    def refusal(self, ctx: AttentionContext) -> str | None:
        return "it rotates nothing" if ctx.rotates else None


class StateCache(ConstantSizeCache):
    """One vector for each row."""

    def __init__(self, state: Tensor) -> None:
        self.state = state


class DecayingSum(RecurrentAttention):
    """A sum over positions, of which half is forgotten with each."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.values = Linear(dims.n_embd, dims.n_embd)
        self.resid_dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if ctx.rotates or (ctx.attn_mask is not None and ctx.segment_ids is None):
            raise NotImplementedError("it has no keys to rotate or to hide")
        v = self.values(x)
        return self.resid_dropout(torch.stack(self.sums(v, ctx), dim=1))

    def goes_on(self, segment_ids: Tensor, t: int) -> Tensor:
        """Return the rows in which position `t` belongs to the text of the one before it."""
        return segment_ids[:, t] == segment_ids[:, t - 1]

    def sums(self, v: Tensor, ctx: AttentionContext) -> list[Tensor]:
        """Return the state after each position, and store the last one."""
        state: Tensor = torch.zeros_like(v[:, 0]) if ctx.cache is None else ctx.cache.state  # type: ignore[attr-defined]
        sums = []
        for t, v_t in enumerate(v.unbind(1)):
            if ctx.segment_ids is not None and t:
                state = state * self.goes_on(ctx.segment_ids, t)[:, None]
            state = state / 2 + v_t
            sums.append(state)
        if ctx.cache is not None:
            ctx.cache.state = state  # type: ignore[attr-defined]
        return sums

    def new_cache(self, batch_size: int, length: int) -> ConstantSizeCache:
        return StateCache(self.values.weight.new_zeros(batch_size, self.values.out_features))


class TokenAttention(MeanAttention, HasLimits):
    """`MeanAttention` whose values know their tokens."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.table = nn.Embedding(dims.vocab_size, dims.n_embd)

    def refusal(self, ctx: AttentionContext) -> str | None:
        return "it needs the tokens" if ctx.tokens is None else None

    def embed(self, ctx: AttentionContext) -> Tensor:
        return self.table(ctx.tokens)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        self.check_limits(ctx)
        k = self.heads(self.keys(x))
        k, v = ctx.update(ctx.rotate(k, k)[1], self.heads(self.values(x) + self.embed(ctx)))
        y = self.weigh(k, x.shape[1], ctx.attn_mask) @ v
        return self.resid_dropout(y.transpose(1, 2).flatten(2))


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
        self.resid_dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.resid_dropout(self.narrow(F.silu(self.gate(x)) * self.value(x)))

    def reference(self) -> nn.Module:
        return SwigluFeedForward(self.dims)

    def reference_weights(self, own: "dict[str, Tensor]") -> "dict[str, Tensor]":  # type: ignore[override]
        packed = torch.cat((own["gate.weight"], own["value.weight"]))
        return {"gate_and_value.weight": packed, "narrow.weight": own["narrow.weight"]}


class SpacedTokenizer(Tokenizer):
    """Words with the space before them, also before the first, which decoding drops; as in SentencePiece."""

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__(text)
        corpus = " " + "".join(text)
        self.tokens = sorted({*corpus, *WORD.findall(corpus)})

    @property
    def vocab_size(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        ids = {token: i for i, token in enumerate(self.tokens)}
        if unknown := set(text) - ids.keys():
            raise ValueError(f"not in the vocabulary: {unknown}")
        words = [[word] if word in ids else word for word in WORD.findall(" " + text)]
        return [ids[token] for word in words for token in word]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.tokens[i] for i in ids).removeprefix(" ")

    def to_json(self) -> dict[str, Any]:
        return {"tokens": self.tokens}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "SpacedTokenizer":
        tokenizer = cls([])
        tokenizer.tokens = saved["tokens"]
        return tokenizer


class BottlesCorpus(SplitCorpus):
    """A song."""

    def read(self) -> str:
        return "".join(f"{n} green bottles, hanging on the wall;\n" for n in range(60))


class SquaresCorpus(SplitCorpus):
    """Lines that are all different."""

    def read(self) -> str:
        return "".join(f"{n:03} times {n:03} is {n * n}, and once more {n**3}\n" for n in range(600))


class FileCorpus(TextCorpus):
    """This file, with an é."""

    def __init__(self, *, path: Path = Path(__file__)) -> None:
        super().__init__(path=path)
