"""Every registered softmax attention equals the reference, in every dtype."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gptkit.attention import SoftmaxAttention
from gptkit.testing.attend_equivalence import attend_equals_reference
from gptkit.testing.case import Case
from gptkit.testing.equivalence import equals_reference
from gptkit.testing.gate import reason_against
from gptkit.testing.strategies import cases
from gptkit.testing.subjects import registered

SUBJECTS = registered(SoftmaxAttention)
each_attention = pytest.mark.parametrize("attention", SUBJECTS.values(), ids=SUBJECTS)
each_dtype = pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str
)
each_half = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
SHAPES = [
    Case(B=2, H=6, T=256, D=64),
    Case(B=1, H=2, T=1000, D=128),
    Case(B=3, H=4, T=1, D=64, earlier=300),
    Case(B=2, H=3, T=65, D=40, earlier=64, visible_axes="B 1 T S"),
]


@each_attention
@each_dtype
@given(case=cases(), qkv_bias=st.booleans(), out_bias=st.booleans())
def test_the_module_equals_the_reference(
    attention: type[SoftmaxAttention], dtype: torch.dtype, case: Case, qkv_bias: bool, out_bias: bool
) -> None:
    build = partial(attention, qkv_bias=qkv_bias, out_bias=out_bias)
    equals_reference(build, replace(case, dtype=dtype))


@each_attention
@each_dtype
@given(case=cases())
def test_attend_equals_the_reference(attention: type[SoftmaxAttention], dtype: torch.dtype, case: Case) -> None:
    case = replace(case, dtype=dtype)
    attend_equals_reference(case.build(attention), case)


@pytest.mark.cuda
@each_attention
@each_half
@given(case=cases())
def test_the_module_equals_the_reference_on_cuda(
    attention: type[SoftmaxAttention], dtype: torch.dtype, case: Case
) -> None:
    equals_reference(attention, replace(case, dtype=dtype, device=torch.device("cuda")))


@pytest.mark.cuda
@each_attention
@each_half
@pytest.mark.parametrize("case", SHAPES, ids=str)
def test_attend_equals_the_reference_at_real_sizes_on_cuda(
    attention: type[SoftmaxAttention], dtype: torch.dtype, case: Case
) -> None:
    case = replace(case, dtype=dtype, device=torch.device("cuda"))
    assert reason_against(case.build(attention), case) is None
