"""The reference itself, against sums written out."""

import math

import pytest
import torch
from hypothesis import given, strategies as st

from gptkit.components.attention.naive import NaiveAttention
from gptkit.testing.case import Case


def attend_by_hand(q: list[list[float]], k: list[list[float]], v: list[list[float]]) -> list[list[float]]:
    """Return the attention of one head, in Python's own numbers."""
    rows = []
    for i, query in enumerate(q):
        seen = len(k) - len(q) + i + 1
        scores = [sum(a * b for a, b in zip(query, key, strict=True)) / math.sqrt(len(query)) for key in k[:seen]]
        weights = [math.exp(score - max(scores)) for score in scores]
        columns = zip(*v[:seen], strict=True)
        rows.append(
            [sum(w * x for w, x in zip(weights, column, strict=True)) / sum(weights) for column in columns]
        )
    return rows


@given(
    sizes=st.tuples(*(st.integers(1, n) for n in (3, 3, 17, 9))),
    earlier=st.integers(0, 9),
    scale=st.floats(0.02, 4),
    seed=st.integers(0, 2**31 - 1),
)
def test_it_is_the_textbook_formula(
    sizes: tuple[int, int, int, int], earlier: int, scale: float, seed: int
) -> None:
    B, H, T, D = sizes
    case = Case(B=B, H=H, T=T, D=D, earlier=earlier, scale=scale, seed=seed)
    q, k, v = case.qkv()
    found = case.build(NaiveAttention).attend(q, k, v)
    for b in range(case.B):
        for h in range(case.H):
            expected = attend_by_hand(q[b, h].tolist(), k[b, h].tolist(), v[b, h].tolist())
            torch.testing.assert_close(
                found[b, h], torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-12
            )


def test_two_queries_and_three_keys() -> None:
    q = torch.tensor([[[[0.0], [math.log(2)]]]])
    k = torch.tensor([[[[1.0], [2.0], [0.0]]]])
    v = torch.tensor([[[[7.0], [14.0], [28.0]]]])
    y = NaiveAttention(Case(H=1, D=1).dims()).attend(q, k, v)
    # The first query weighs two keys alike; the second weighs three, by 2, 4 and 1.
    assert y.flatten().tolist() == pytest.approx([10.5, (2 * 7 + 4 * 14 + 28) / 7])
