"""How long every registered attention takes, once it is known to be right."""

import itertools
import math
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from gptkit.attention import SoftmaxAttention
from gptkit.interfaces import Attention
from gptkit.plugins import Plugins
from gptkit.testing.attend_equivalence import Inputs
from gptkit.testing.case import Case
from gptkit.testing.gate import reason_against, reason_against_part
from gptkit.testing.subjects import registered

Shape = tuple[int, int, int, int]

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


each_shape = pytest.mark.parametrize("shape", CUDA_SHAPES if ON_CUDA else CPU_SHAPES, ids=label)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Time every attention there is, those of the files that `--plugin` names too."""
    registry = Plugins(metafunc.config.getoption("--plugin")).registry
    attentions = registered(Attention, registry)
    softmax = {name: part for name, part in attentions.items() if issubclass(part, SoftmaxAttention)}
    if "attention" in metafunc.fixturenames:
        metafunc.parametrize("attention", softmax.values(), ids=softmax.keys())
    elif "part" in metafunc.fixturenames:
        # Where all of them inherit `attend`, that is all there is to compare.
        whole = {} if attentions == softmax else attentions
        metafunc.parametrize("part", whole.values(), ids=whole.keys())


def synchronised_clock() -> float:
    """Return the time in seconds once the device has done all that it was asked."""
    if ON_CUDA:
        torch.cuda.synchronize()
    return time.perf_counter()


timed = pytest.mark.benchmark(timer=synchronised_clock)
# What is not right fails before it is timed, and that is no oversight.
pytestmark = pytest.mark.filterwarnings("ignore:Benchmark fixture was not used")


@timed
@each_shape
def test_attend_forward(benchmark: BenchmarkFixture, attention: type[SoftmaxAttention], shape: Shape) -> None:
    built = right_attention(attention, shape)

    @torch.no_grad()
    def call(x: Inputs) -> None:
        built.attend(x.q, x.k, x.v)

    measure(benchmark, call, qkv_beyond_cache(shape), shape, operations=forward_operations(shape))


@timed
@each_shape
def test_attend_forward_and_backward(
    benchmark: BenchmarkFixture, attention: type[SoftmaxAttention], shape: Shape
) -> None:
    built = right_attention(attention, shape)

    def call(x: Inputs) -> None:
        torch.autograd.grad(built.attend(x.q, x.k, x.v), (x.q, x.k, x.v), x.gradient)

    # A backward pass takes 2.5 times the operations of a forward pass.
    measure(benchmark, call, qkv_beyond_cache(shape), shape, operations=3.5 * forward_operations(shape))


@timed
@each_shape
def test_whole_forward(benchmark: BenchmarkFixture, part: type[Attention], shape: Shape) -> None:
    built = right_part(part, shape)

    @torch.no_grad()
    def call(x: Tensor) -> None:
        built(x)

    measure(benchmark, call, x_beyond_cache(shape), shape)


@timed
@each_shape
def test_whole_forward_and_backward(benchmark: BenchmarkFixture, part: type[Attention], shape: Shape) -> None:
    built = right_part(part, shape)

    def call(x: Tensor) -> None:
        y = built(x)
        torch.autograd.grad(y, (x, *built.parameters()), x.detach())

    measure(benchmark, call, x_beyond_cache(shape), shape)


def right_attention(attention: type[SoftmaxAttention], shape: Shape) -> SoftmaxAttention:
    """Return an attention, or fail with the reason why its `attend` is not right at a shape."""
    refuse(reason_against_timing(attention, shape))
    built: SoftmaxAttention = case_of(shape).build(attention)
    return built


def right_part(part: type[Attention], shape: Shape) -> Attention:
    """Return an attention, or fail with the reason why it is not right at a shape."""
    refuse(reason_against_timing_whole(part, shape))
    built: Attention = case_of(shape).build(part)
    return built


def refuse(reason: str | None) -> None:
    """Fail in the place of a time, if there is a reason to."""
    if reason:
        pytest.fail(f"not timed, because it is not right: {reason}", pytrace=False)


@cache
def reason_against_timing(attention: type[SoftmaxAttention], shape: Shape) -> str | None:
    """Return why an attention's `attend` may not be timed at a shape; it is the same forward and backward."""
    case = case_of(shape)
    return reason_against(case.build(attention), case)


@cache
def reason_against_timing_whole(part: type[Attention], shape: Shape) -> str | None:
    """Return why an attention may not be timed at a shape; it is the same forward and backward."""
    return reason_against_part(part, case_of(shape))


def case_of(shape: Shape, seed: int = 0) -> Case:
    """Return random normal inputs of a shape."""
    B, H, T, D = shape
    return Case(B=B, H=H, T=T, D=D, seed=seed, dtype=DTYPE, device=DEVICE)


def forward_operations(shape: Shape) -> int:
    """Return the operations of two products with the keys that each query sees."""
    B, H, T, D = shape
    return 4 * B * H * D * T * (T + 1) // 2


def measure(
    benchmark: BenchmarkFixture,
    call: Callable[[Any], None],
    inputs: Iterable[Any],
    shape: Shape,
    *,
    operations: float | None = None,
) -> None:
    """Time a call on one input after another.

    Args:
        operations: How many the call needs, where that is known.
    """
    turn = itertools.cycle(inputs)
    benchmark.group = f"{benchmark.name.partition('[')[0]} {label(shape)}"
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda: call(next(turn)), rounds=ROUNDS, iterations=CALLS, warmup_rounds=WARM_UP_ROUNDS
    )
    benchmark.extra_info |= {
        "device": str(DEVICE),
        "dtype": str(DTYPE),
        "shape": list(shape),
        "torch": torch.__version__,
    }
    # There are no times with --benchmark-disable.
    if benchmark.stats and operations:
        benchmark.extra_info["FLOP/s"] = operations / benchmark.stats.stats.median


def seeds_beyond_cache(numbers: int) -> range:
    """Return seeds of as many inputs, each of so many numbers, as do not fit the device's cache together."""
    return range(1 + BYTES_BEYOND_CACHE // (numbers * DTYPE.itemsize))


def qkv_beyond_cache(shape: Shape) -> list[Inputs]:
    """Return queries, keys and values that learn, and the gradients that come back."""
    cases = [case_of(shape, seed) for seed in seeds_beyond_cache(4 * math.prod(shape))]
    return [inputs_of(case, shape) for case in cases]


def inputs_of(case: Case, shape: Shape) -> Inputs:
    """Return queries, keys and values that learn, and the gradient that comes back."""
    q, k, v = (x.requires_grad_() for x in case.qkv())
    return Inputs(q, k, v, case.draw("gradient", *shape), None)


def x_beyond_cache(shape: Shape) -> list[Tensor]:
    """Return inputs that learn."""
    return [case_of(shape, seed).x().requires_grad_() for seed in seeds_beyond_cache(math.prod(shape))]
