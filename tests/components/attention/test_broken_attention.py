"""Every check of attentions fails on an attention that is broken in the way that it is there for."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.attention import SoftmaxAttention
from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import Dims, Place
from gptkit.testing import attend_laws, attention_laws, dropout_laws, module_laws
from gptkit.testing.case import Build, Case
from gptkit.testing.equivalence import equals_reference
from gptkit.testing.gate import reason_against

Mask = Tensor | None
CASE = Case(B=2, H=2, T=5, D=4, earlier=3)


class Unmasked(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, v, torch.ones(1, 1, dtype=torch.bool))


class OneTooMany(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        T, S = q.shape[2], k.shape[2]
        return super().attend(q, k, v, torch.ones(T, S, dtype=torch.bool).tril(S - T + 1))


class TopLeft(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        visible = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril() if visible is None else visible
        return super().attend(q, k, v, visible)


class DeafToVisible(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, v)


class FullMasksOnly(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        full = visible is None or visible.ndim == 4
        return super().attend(q, k, v, visible if full else None)


class Unscaled(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q * math.sqrt(q.shape[3]), k, v, visible)


class KeysForValues(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, v, k, visible)


class NoGradientToKeys(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k.detach(), v, visible)


class NotANumber(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return (
            super().attend(q, k, v, visible) * torch.where(torch.arange(q.shape[2]) == 4, math.nan, 1.0)[:, None]
        )


class NoLateQueries(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, v, visible) * (torch.arange(q.shape[2]) < 200)[:, None]


class SumOfWeightsBelowOne(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return 0.999 * super().attend(q, k, v, visible)


class WritesOnQueries(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q.mul_(1.5), k, v, visible)


class MixesRows(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, v + 1e-6 * v.mean(dim=0), visible)


class Noisy(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, v, visible) + 1e-12 * torch.randn_like(q)


class IgnoresPlace(NaiveAttention):
    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return super().forward(x, Place(0, None, at.memory, at.visible))


class UnusedWeight(NaiveAttention):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.unused = torch.nn.Parameter(torch.ones(1))


class UnsavedWeight(NaiveAttention):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.register_buffer("gain", torch.rand(dims.n_embd), persistent=False)

    def forward(self, x: Tensor, at: Place = Place()) -> Tensor:
        return super().forward(x, at) * self.get_buffer("gain")


class DropsInEval(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, F.dropout(v, self.dropout), visible)


class DropsWithoutScaling(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        y = super().attend(q, k, v, visible)
        return y * (1 - self.dropout) if self.training else y


class DropsTwice(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, F.dropout(v, self.dropout, self.training), visible)


class DropsBySeedOfItsOwn(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        torch.manual_seed(0)
        return super().attend(q, k, v, visible)


class DropsBySeedOfTheClock(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        torch.seed()
        return super().attend(q, k, v, visible)


def gate(build: Build[SoftmaxAttention], case: Case) -> None:
    """Assert that a benchmark would let an attention through."""
    reason = reason_against(case.build(build), case)
    assert reason is None, reason


Law = Callable[[Build[SoftmaxAttention], Case], None]

BROKEN: list[tuple[type[SoftmaxAttention], Law]] = [
    (Unmasked, attention_laws.never_reads_the_future),
    (Unmasked, attend_laws.sees_up_to_itself),
    (OneTooMany, attention_laws.never_reads_the_future),
    (OneTooMany, attend_laws.sees_up_to_itself),
    (OneTooMany, equals_reference),
    (TopLeft, attend_laws.sees_up_to_itself),
    (TopLeft, attend_laws.honours_visible),
    (TopLeft, equals_reference),
    (DeafToVisible, attend_laws.honours_visible),
    (DeafToVisible, attention_laws.cache_changes_nothing),
    (FullMasksOnly, attend_laws.broadcasts_visible),
    (Unscaled, equals_reference),
    (Unscaled, gate),
    (KeysForValues, equals_reference),
    (KeysForValues, gate),
    (KeysForValues, attend_laws.constant_values_come_back),
    (NoGradientToKeys, equals_reference),
    (NoGradientToKeys, gate),
    (NotANumber, equals_reference),
    (NotANumber, gate),
    (NotANumber, module_laws.is_finite),
    (SumOfWeightsBelowOne, attend_laws.constant_values_come_back),
    (WritesOnQueries, attend_laws.attend_mutates_nothing),
    (MixesRows, module_laws.rows_are_independent),
    (Noisy, module_laws.eval_is_deterministic),
    (IgnoresPlace, equals_reference),
    (UnusedWeight, equals_reference),
    (UnusedWeight, module_laws.every_parameter_gets_a_gradient),
    (UnsavedWeight, module_laws.state_dict_round_trips),
    (DropsInEval, dropout_laws.dropout_is_off_in_eval),
    (DropsInEval, module_laws.eval_is_deterministic),
    (DropsWithoutScaling, dropout_laws.dropout_keeps_the_mean),
    (DropsTwice, dropout_laws.dropout_has_its_rate),
    (DropsBySeedOfItsOwn, dropout_laws.dropout_follows_the_seed),
    (DropsBySeedOfTheClock, dropout_laws.dropout_follows_the_seed),
]


@pytest.mark.parametrize(
    ("attention", "law"), BROKEN, ids=[f"{attention.__name__}-{law.__name__}" for attention, law in BROKEN]
)
def test_it_is_caught(attention: type[SoftmaxAttention], law: Law) -> None:
    law(NaiveAttention, CASE)
    with pytest.raises(AssertionError, match=re.escape("S=8")):
        law(attention, CASE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_late_queries_are_caught_although_they_are_small(dtype: torch.dtype) -> None:
    case = Case(B=1, H=1, T=256, D=64, dtype=dtype)
    assert reason_against(case.build(NaiveAttention), case) is None
    assert "output is off by" in str(reason_against(case.build(NoLateQueries), case))


def test_the_message_says_what_it_takes_to_see_it_again() -> None:
    with pytest.raises(AssertionError) as caught:
        attend_laws.sees_up_to_itself(TopLeft, CASE)
    assert str(caught.value) == (
        "query 0 does not see key 1: the last it may see is 3 (B=2 H=2 T=5 S=8 D=8 scale=1 seed=0 float64 on cpu)"
    )


def test_the_gate_says_what_a_kernel_raises() -> None:
    class Picky(NaiveAttention):
        def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
            raise NotImplementedError("no such width")

    assert reason_against(CASE.build(Picky), CASE) == (
        "NotImplementedError: no such width (B=2 H=2 T=5 S=8 D=4 scale=1 seed=0 float64 on cpu)"
    )
