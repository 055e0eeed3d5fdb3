"""Equal to the reference in `attend` alone: at any shape, however long, row by row."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.nn import SoftmaxAttention, causal_mask
from gptkit.testing.accuracy import assert_as_accurate
from gptkit.testing.case import Build, Case
from gptkit.testing.results import Results, gradients


@dataclass(frozen=True)
class Inputs:
    """What `attend` takes, and the gradient of what it returns."""

    q: Float[Tensor, "B H T D"]
    k: Float[Tensor, "B H S D"]
    v: Float[Tensor, "B H S D"]
    gradient: Float[Tensor, "B H T D"]
    attn_mask: Bool[Tensor, "..."] | None

    def results(self, attention: SoftmaxAttention) -> Results:
        """Return the output of an attention's `attend`, and the gradients of the queries, keys and values."""
        q, k, v = (x.detach().requires_grad_() for x in (self.q, self.k, self.v))
        # A copy, so that what one attention does to it is not the next one's fault.
        y = attention.attend(q, k, v, None if self.attn_mask is None else self.attn_mask.clone())
        return {"output": y.detach(), **gradients(y, {"q": q, "k": k, "v": v}, self.gradient)}

    def seen(self) -> Bool[Tensor, "B H T S"]:
        """Return which key each query sees, also where that is the causal rule."""
        attn_mask = causal_mask(self.q, self.k) if self.attn_mask is None else self.attn_mask
        return attn_mask.expand(*self.q.shape[:3], self.k.shape[2])

    def heads(self) -> Iterator["Inputs"]:
        """Yield the inputs of each head."""
        tensors = (self.q, self.k, self.v, self.gradient, self.seen())
        for h in range(self.q.shape[1]):
            yield Inputs(*(x[:, h : h + 1] for x in tensors))

    def double(self) -> "Inputs":
        """Return the inputs in float64."""
        return Inputs(self.q.double(), self.k.double(), self.v.double(), self.gradient.double(), self.attn_mask)


@dataclass(frozen=True)
class Expected:
    """What the reference finds on a case, in its dtype and in float64, and how large each row of that is."""

    inputs: Inputs
    reference: Results
    oracle: Results
    sizes: Results


def attend_equals_reference(attention: SoftmaxAttention, case: Case) -> None:
    """Assert that the `attend` of an attention in eval mode has the reference's output and gradients."""
    expected = expect(case)
    found = expected.inputs.results(attention)
    assert_as_accurate(found, expected.reference, expected.oracle, expected.sizes, case)


def attends_as_reference(build: Build[SoftmaxAttention], case: Case) -> None:
    """Assert that `attend` alone has the reference's output and gradients, row by row."""
    attend_equals_reference(case.build(build), case)


# A benchmark asks for the same one for each attention in turn, and at its sizes this takes seconds.
@lru_cache(maxsize=1)
def expect(case: Case) -> Expected:
    """Return what any attention must find on a case."""
    inputs = Inputs(*case.qkv(), case.draw("gradient", case.B, case.H, case.T, case.D), case.attn_mask())
    naive = NaiveAttention(case.dims()).eval()
    # One head at a time: all at once, the oracle would keep several numbers for every query and key.
    return Expected(
        inputs,
        reference=together(head.results(naive) for head in inputs.heads()),
        oracle=together(head.double().results(naive) for head in inputs.heads()),
        sizes=together(sizes(head.double()) for head in inputs.heads()),
    )


def together(heads: Iterable[Results]) -> Results:
    """Return the results of all heads, one tensor to a name."""
    heads = list(heads)
    return {name: torch.cat([head[name] for head in heads], dim=1) for name in heads[0]}


def sizes(head: Inputs) -> Results:
    """Return how large each row of a head's results would be if nothing in it cancelled: the root of its squares.

    The results themselves are no measure: the gradient of a query that sees one key is zero, and what an
    attention finds is the rounding of terms that are not. Nor is the largest of a tensor, beside which a
    late row, the mean of many values, is small.
    """
    q, k, v, gradient = (x.square() for x in (head.q, head.k, head.v, head.gradient))
    scores = head.q @ head.k.mT / math.sqrt(q.shape[3])  # (B, 1, T, S)
    weights = scores.masked_fill(~head.seen(), -math.inf).softmax(dim=-1)
    # One rounding of a score of 30 changes its weight by 30 of its own.
    weights = (weights * (1 + scores.abs())).square()
    output = weights @ v
    # Into a score flows the gradient of its value's weight, less the mean of those of all.
    back = weights * (gradient @ v.mT + (gradient * output).sum(dim=-1, keepdim=True)) / q.shape[3]
    squares = {
        "output": output,
        "gradient of q": back @ k,
        "gradient of k": back.mT @ q,
        "gradient of v": weights.mT @ gradient,
    }
    rows = {name: square.mean(dim=-1, keepdim=True).sqrt() for name, square in squares.items()}
    # A key that hardly a query weighs has hardly a gradient, and float16 makes that nothing.
    return {name: row.clamp(min=1e-4 * row.max()) for name, row in rows.items()}
