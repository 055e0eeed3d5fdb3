"""Equality with the reference in `attend` alone: at any shape and length, row by row."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.nn import SoftmaxAttention, causal_mask
from gptkit.testing.accuracy import assert_as_accurate, declared_by
from gptkit.testing.case import Build, Case
from gptkit.testing.results import Results, gradients


@dataclass(frozen=True)
class Inputs:
    """The arguments of `attend`, and the gradient that flows into its output."""

    q: Float[Tensor, "B H T D"]
    k: Float[Tensor, "B H S D"]
    v: Float[Tensor, "B H S D"]
    gradient: Float[Tensor, "B H T D"]
    attn_mask: Bool[Tensor, "..."] | None

    def results(self, attention: SoftmaxAttention) -> Results:
        """Return the output of an attention's `attend`, and the gradients of queries, keys and values."""
        q, k, v = (x.detach().requires_grad_() for x in (self.q, self.k, self.v))
        # A copy: an attention that modifies it must not affect the next one.
        y = attention.attend(q, k, v, None if self.attn_mask is None else self.attn_mask.clone())
        return {"output": y.detach(), **gradients(y, {"q": q, "k": k, "v": v}, self.gradient)}

    def full_mask(self) -> Bool[Tensor, "B H T S"]:
        """Return the mask at its full shape, also where it is the causal one."""
        attn_mask = causal_mask(self.q, self.k) if self.attn_mask is None else self.attn_mask
        return attn_mask.expand(*self.q.shape[:3], self.k.shape[2])

    def heads(self) -> Iterator["Inputs"]:
        """Yield the inputs of each head."""
        tensors = (self.q, self.k, self.v, self.gradient, self.full_mask())
        for h in range(self.q.shape[1]):
            yield Inputs(*(x[:, h : h + 1] for x in tensors))

    def double(self) -> "Inputs":
        """Return the inputs in float64."""
        return Inputs(self.q.double(), self.k.double(), self.v.double(), self.gradient.double(), self.attn_mask)


@dataclass(frozen=True)
class Expected:
    """The reference's results for a case, in its dtype and in float64, and the size of each row."""

    inputs: Inputs
    reference: Results
    oracle: Results
    sizes: Results


def attend_equals_reference(attention: SoftmaxAttention, case: Case) -> None:
    """Assert that the `attend` of an attention in eval mode has the reference's output and gradients."""
    expected = expect(case)
    found = expected.inputs.results(attention)
    declared = declared_by(type(attention)).reference
    assert_as_accurate(found, expected.reference, expected.oracle, expected.sizes, case, declared=declared)


def attends_as_reference(build: Build[SoftmaxAttention], case: Case) -> None:
    """Assert that the output and the gradients of `attend` equal the reference's, row by row."""
    attend_equals_reference(case.build(build), case)


# Cached, because a benchmark asks for it once for each attention, and at its shapes this takes seconds.
@lru_cache(maxsize=1)
def expect(case: Case) -> Expected:
    """Return the reference's results for a case."""
    inputs = Inputs(*case.qkv(), case.draw("gradient", case.B, case.H, case.T, case.D), case.attn_mask())
    naive = NaiveAttention(case.dims()).eval()
    # One head at a time: the oracle holds several float64 numbers for each pair of query and key.
    return Expected(
        inputs,
        reference=concatenated(head.results(naive) for head in inputs.heads()),
        oracle=concatenated(head.double().results(naive) for head in inputs.heads()),
        sizes=concatenated(sizes(head.double()) for head in inputs.heads()),
    )


def concatenated(heads: Iterable[Results]) -> Results:
    """Return the results of all heads, concatenated."""
    heads = list(heads)
    return {name: torch.cat([head[name] for head in heads], dim=1) for name in heads[0]}


def sizes(head: Inputs) -> Results:
    """Return how large each row of a head's results would be if nothing cancelled: a root of summed squares.

    The results themselves are no measure. The gradient of a query that sees one key is zero, and what is computed
    is the rounding error of terms that are not zero. Nor is the largest number of a tensor: a late row, the mean
    of many values, is small beside it.
    """
    q, k, v, gradient = (x.square() for x in (head.q, head.k, head.v, head.gradient))
    scores = head.q @ head.k.mT / math.sqrt(q.shape[3])  # (B, 1, T, S)
    weights = scores.masked_fill(~head.full_mask(), -math.inf).softmax(dim=-1)
    # A relative error in a score of 30 is 30 times as large in its weight.
    weights = (weights * (1 + scores.abs())).square()
    output = weights @ v
    # The softmax passes to a score the gradient of its weight less the weighted mean over all keys.
    back = weights * (gradient @ v.mT + (gradient * output).sum(dim=-1, keepdim=True)) / q.shape[3]
    squares = {
        "output": output,
        "gradient of q": back @ k,
        "gradient of k": back.mT @ q,
        "gradient of v": weights.mT @ gradient,
    }
    rows = {name: square.mean(dim=-1, keepdim=True).sqrt() for name, square in squares.items()}
    # A key with tiny weights has a tiny gradient, which float16 rounds to zero.
    return {name: row.clamp(min=1e-4 * row.max()) for name, row in rows.items()}
