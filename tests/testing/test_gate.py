"""The gate before a timing: the reason why a kernel gets no time."""

import math

import pytest
import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import Attention
from gptkit.testing.case import Case
from gptkit.testing.gate import reason_against, reason_against_part
from tests.testing.right_parts import MeanAttention

Mask = Tensor | None
CASE = Case(B=2, H=2, T=5, D=4, earlier=3)
WHOLE = Case(B=2, H=2, T=5, D=4)


class Unscaled(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q * math.sqrt(q.shape[3]), k, v, attn_mask)


class NotANumber(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        last = torch.arange(q.shape[2]) == q.shape[2] - 1
        return super().attend(q, k, v, attn_mask) * torch.where(last, math.nan, 1.0)[:, None]


class NoLateQueries(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v, attn_mask) * (torch.arange(q.shape[2]) < 200)[:, None]


class Picky(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        raise NotImplementedError("no such width")


class SeesAll(MeanAttention):
    def weigh(self, k: Tensor, T: int, attn_mask: Mask) -> Tensor:
        return super().weigh(k, T, torch.ones(1, 1, dtype=torch.bool))


@pytest.mark.parametrize("part", [NaiveAttention, MeanAttention])
def test_what_is_right_may_be_timed(part: type[Attention]) -> None:
    assert reason_against_part(part, WHOLE) is None
    if issubclass(part, NaiveAttention):
        assert reason_against(CASE.build(part), CASE) is None


@pytest.mark.parametrize("part", [Unscaled, NotANumber])
def test_what_is_wrong_is_told_with_where_and_by_how_much(part: type[NaiveAttention]) -> None:
    for reason in (reason_against(CASE.build(part), CASE), reason_against_part(part, CASE)):
        assert reason is not None
        assert reason.startswith("output is off by ")
        assert reason.endswith("(B=2 H=2 T=5 S=8 D=4 scale=1 seed=0 float64 on cpu)")


def test_what_names_no_reference_must_not_read_the_future() -> None:
    reason = reason_against_part(SeesAll, WHOLE)
    assert reason is not None
    assert reason.startswith("the output before position 2, where the input starts to differ: off by ")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_late_queries_are_caught_although_they_are_small(dtype: torch.dtype) -> None:
    case = Case(B=1, H=1, T=256, D=64, dtype=dtype)
    assert reason_against(case.build(NaiveAttention), case) is None
    assert "output is off by" in str(reason_against(case.build(NoLateQueries), case))


def test_what_a_kernel_raises_is_the_reason() -> None:
    said = "NotImplementedError: no such width (B=2 H=2 T=5 S=8 D=4 scale=1 seed=0 float64 on cpu)"
    assert reason_against(CASE.build(Picky), CASE) == said
