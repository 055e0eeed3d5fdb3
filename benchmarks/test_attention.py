"""How long `attend` takes in every registered softmax attention, once it is known to be right."""

import itertools
import math
import time
from collections.abc import Callable
from functools import cache

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from gptkit.attention import SoftmaxAttention
from gptkit.testing.attend_equivalence import Inputs
from gptkit.testing.case import Case
from gptkit.testing.gate import reason_against
from gptkit.testing.subjects import registered

Shape = tuple[int, int, int, int]

SUBJECTS = registered(SoftmaxAttention)
ON_CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_CUDA else "cpu")
DTYPE = torch.bfloat16 if ON_CUDA else torch.float32
# (B, H, T, D): that of `gpt_small`, then longer contexts with fewer rows. On a CPU a round must end within
# seconds, and the scores that `naive` keeps for the backward pass must fit in 4 GB.
CUDA_SHAPES = [(64, 6, 256, 64), (16, 6, 1024, 64), (4, 6, 4096, 64), (1, 6, 16384, 64)]
CPU_SHAPES = [(64, 6, 256, 64), (4, 6, 1024, 64), (1, 6, 4096, 64)]
# A GPU answers in microseconds and is asked several times a round, each time for something that is no longer
# in its cache.
ROUNDS, WARM_UP_ROUNDS, CALLS = (50, 10, 10) if ON_CUDA else (7, 1, 1)
BYTES_BEYOND_CACHE = 200 * 2**20 if ON_CUDA else 0


def label(shape: Shape) -> str:
    """Return where and on what the time was taken."""
    return f"{DEVICE} {str(DTYPE).removeprefix('torch.')} {'x'.join(map(str, shape))}"


each_attention = pytest.mark.parametrize("name", SUBJECTS)
each_shape = pytest.mark.parametrize("shape", CUDA_SHAPES if ON_CUDA else CPU_SHAPES, ids=label)


def synchronised_clock() -> float:
    """Return the time in seconds once the device has done all that it was asked."""
    if ON_CUDA:
        torch.cuda.synchronize()
    return time.perf_counter()


timed = pytest.mark.benchmark(timer=synchronised_clock)
# What is not right fails before it is timed, and that is no oversight.
pytestmark = pytest.mark.filterwarnings("ignore:Benchmark fixture was not used")


@timed
@each_attention
@each_shape
def test_attend_forward(benchmark: BenchmarkFixture, name: str, shape: Shape) -> None:
    attention = right_attention(name, shape)

    @torch.no_grad()
    def call(x: Inputs) -> None:
        attention.attend(x.q, x.k, x.v)

    measure(benchmark, call, shape, operations=forward_operations(shape))


@timed
@each_attention
@each_shape
def test_attend_forward_and_backward(benchmark: BenchmarkFixture, name: str, shape: Shape) -> None:
    attention = right_attention(name, shape)

    def call(x: Inputs) -> None:
        torch.autograd.grad(attention.attend(x.q, x.k, x.v), (x.q, x.k, x.v), x.gradient)

    # A backward pass takes 2.5 times the operations of a forward pass.
    measure(benchmark, call, shape, operations=3.5 * forward_operations(shape))


def right_attention(name: str, shape: Shape) -> SoftmaxAttention:
    """Return an attention, or fail with the reason why it is not right at a shape."""
    if reason := reason_against_timing(name, shape):
        pytest.fail(f"not timed, because it is not right: {reason}")
    attention: SoftmaxAttention = case_of(shape).build(SUBJECTS[name])
    return attention


@cache
def reason_against_timing(name: str, shape: Shape) -> str | None:
    """Return why an attention may not be timed at a shape; it is the same forward and backward."""
    case = case_of(shape)
    return reason_against(case.build(SUBJECTS[name]), case)


def case_of(shape: Shape, seed: int = 0) -> Case:
    """Return random normal inputs of a shape."""
    B, H, T, D = shape
    return Case(B=B, H=H, T=T, D=D, seed=seed, dtype=DTYPE, device=DEVICE)


def forward_operations(shape: Shape) -> int:
    """Return the operations of two products with the keys that each query sees."""
    B, H, T, D = shape
    return 4 * B * H * D * T * (T + 1) // 2


def measure(
    benchmark: BenchmarkFixture, call: Callable[[Inputs], None], shape: Shape, *, operations: float
) -> None:
    """Time a call, and say how many operations a second it comes to."""
    inputs = itertools.cycle(inputs_beyond_cache(shape))
    benchmark.group = f"{benchmark.name.partition('[')[0]} {label(shape)}"
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda: call(next(inputs)), rounds=ROUNDS, iterations=CALLS, warmup_rounds=WARM_UP_ROUNDS
    )
    benchmark.extra_info |= {
        "device": str(DEVICE),
        "dtype": str(DTYPE),
        "shape": list(shape),
        "torch": torch.__version__,
    }
    # There are no times with --benchmark-disable.
    if benchmark.stats:
        benchmark.extra_info["FLOP/s"] = operations / benchmark.stats.stats.median


def inputs_beyond_cache(shape: Shape) -> list[Inputs]:
    """Return as many different inputs of a shape as do not fit the device's cache together."""
    bytes_of_one = 4 * math.prod(shape) * DTYPE.itemsize
    return [inputs_of(shape, seed) for seed in range(1 + BYTES_BEYOND_CACHE // bytes_of_one)]


def inputs_of(shape: Shape, seed: int) -> Inputs:
    """Return queries, keys and values that learn, and the gradient that comes back."""
    case = case_of(shape, seed)
    q, k, v = (x.requires_grad_() for x in case.qkv())
    return Inputs(q, k, v, case.draw("gradient", *shape), None)
