"""Laws of dropout in every registered attention."""

import pytest
import torch

from gptkit.attention import SoftmaxAttention
from gptkit.interfaces import Attention
from gptkit.testing import dropout_laws
from gptkit.testing.case import Case
from gptkit.testing.subjects import registered

SUBJECTS, SOFTMAX = registered(Attention), registered(SoftmaxAttention)
each_attention = pytest.mark.parametrize("attention", SUBJECTS.values(), ids=SUBJECTS)
each_softmax = pytest.mark.parametrize("attention", SOFTMAX.values(), ids=SOFTMAX)
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)


@each_attention
@each_dtype
def test_dropout_is_off_in_eval(attention: type[Attention], dtype: torch.dtype) -> None:
    dropout_laws.dropout_is_off_in_eval(attention, Case(T=7, D=8, dtype=dtype))


@each_attention
@each_dtype
def test_dropout_follows_the_seed(attention: type[Attention], dtype: torch.dtype) -> None:
    dropout_laws.dropout_follows_the_seed(attention, Case(T=7, D=8, dtype=dtype))


@each_attention
@each_dtype
def test_dropout_keeps_the_mean(attention: type[Attention], dtype: torch.dtype) -> None:
    dropout_laws.dropout_keeps_the_mean(attention, Case(T=7, D=8, dtype=dtype))


@each_softmax
@each_dtype
@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5])
def test_dropout_has_its_rate(attention: type[SoftmaxAttention], dtype: torch.dtype, rate: float) -> None:
    dropout_laws.dropout_has_its_rate(attention, Case(T=16, scale=0.1, dtype=dtype), rate=rate)
