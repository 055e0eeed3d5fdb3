import itertools
import os

import pytest
import torch

from gptkit import hardware
from gptkit.hardware import bf16_gain, choose_device, choose_dtype, make_deterministic, matmul_rate

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Make this machine one that has the devices named by the parameter, and no others."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in request.param)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a fast card")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: "bf16" in request.param)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in request.param)


def machine(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("devices", [names], indirect=True, ids=[" and ".join(["cpu", *names])])


@machine("cuda", "mps")
def test_auto_takes_cuda_first(devices: None) -> None:
    choice = choose_device("auto")
    assert (choice.value, choice.reason) == (CUDA, "this machine has a fast card")


@machine("mps")
def test_auto_takes_mps_second(devices: None) -> None:
    choice = choose_device("auto")
    assert choice.value == torch.device("mps")
    assert choice.reason == "this machine has Apple's GPU and no CUDA device"


@machine()
def test_auto_takes_the_cpu_where_there_is_nothing_else(devices: None) -> None:
    choice = choose_device("auto")
    assert (choice.value, choice.reason) == (CPU, "this machine has no CUDA device")


@machine("cuda")
def test_a_device_that_is_here_is_taken_because_the_recipe_says_so(devices: None) -> None:
    for name in ("cpu", "cuda", "cuda:0", "cuda:1"):
        choice = choose_device(name)
        assert (choice.value, choice.reason) == (torch.device(name), "the recipe says so")


@machine("cuda")
def test_a_device_beyond_those_that_are_here_is_refused(devices: None) -> None:
    with pytest.raises(ValueError, match=r"^this machine has no device 'cuda:2'\. It has: cpu, cuda:0, cuda:1$"):
        choose_device("cuda:2")


@machine()
@pytest.mark.parametrize("name", ["cuda", "mps", "meta"])
def test_a_device_that_is_not_here_is_refused(devices: None, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^this machine has no device '{name}'\. It has: cpu$"):
        choose_device(name)


def test_a_device_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^PyTorch knows no device 'gpu'\. Use auto, cpu, cuda, cuda:0 or mps$"):
        choose_device("gpu")


@pytest.mark.parametrize(
    ("gain", "value", "reason"),
    [
        (0.2, "fp32", "a layer of 8 channels trains 0.2 times as fast in bf16 as in fp32 here, measured, and fp32 "
         "is exact"),
        (1.2, "fp32", "a layer of 8 channels trains 1.2 times as fast in bf16 as in fp32 here, measured, and fp32 "
         "is exact"),
        (2.5, "bf16", "a layer of 8 channels trains 2.5 times as fast in bf16 as in fp32 here, measured; weights "
         "stay in fp32"),
    ],
)  # fmt: skip
def test_auto_is_what_measures_faster_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, gain: float, value: str, reason: str
) -> None:
    monkeypatch.setattr(hardware, "bf16_gain", lambda tokens, n_embd: gain)
    choice = choose_dtype("auto", CPU, 64, 8)
    assert (choice.value, choice.reason) == (value, reason)


def test_the_gain_of_bf16_is_the_ratio_of_the_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    # By turns in fp32 and in bf16; a slow first turn and one that was disturbed do not count.
    taken = [90.0, 70.0] + [3.0, 2.0] * 3 + [50.0, 2.0] + [3.0, 40.0]
    clock = iter(itertools.chain.from_iterable((0.0, seconds) for seconds in taken))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert bf16_gain(2, 2) == 1.5


@machine("cuda", "bf16")
def test_auto_is_bf16_on_a_cuda_device_that_has_it(devices: None) -> None:
    assert choose_dtype("auto", CUDA, 64, 8).value == "bf16"


@machine("cuda")
def test_auto_is_fp32_on_a_cuda_device_without_bf16(devices: None) -> None:
    assert choose_dtype("auto", CUDA, 64, 8).value == "fp32"


@machine("cuda")
def test_bf16_is_refused_where_the_cuda_device_lacks_it(devices: None) -> None:
    with pytest.raises(ValueError, match=r"^this CUDA device has no bf16\. Use fp16 or fp32$"):
        choose_dtype("bf16", CUDA, 64, 8)


def test_fp16_is_refused_on_the_cpu() -> None:
    message = r"^fp16 is trained on CUDA alone, and this run is on cpu\. Use bf16 or fp32$"
    with pytest.raises(ValueError, match=message):
        choose_dtype("fp16", CPU, 64, 8)


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_a_precision_is_taken_because_the_recipe_says_so(name: str) -> None:
    choice = choose_dtype(name, CPU, 64, 8)
    assert (choice.value, choice.reason) == (name, "the recipe says so")


@pytest.mark.parametrize("before", [None, ":16:8"])
def test_deterministic_algorithms_are_asked_of_torch_and_of_cublas(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.setattr(os, "environ", {"CUBLAS_WORKSPACE_CONFIG": before} if before else {})
    asked: list[bool] = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", asked.append)
    make_deterministic()
    assert asked == [True]
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == (before or ":4096:8")


def test_the_measured_rate_is_one_that_processors_have() -> None:
    assert 1e8 < matmul_rate(CPU, torch.float32) < 1e15
    assert 1e6 < matmul_rate(CPU, torch.bfloat16, (16, 32, 64)) < 1e15


def test_a_rate_is_the_operations_of_a_product_by_the_shortest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(itertools.chain.from_iterable((0.0, seconds) for seconds in (90.0, 3.0, 4.0, 2.0, 5.0, 6.0)))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert matmul_rate(CPU, torch.float32, (10, 20, 30)) == 2 * 10 * 20 * 30 / 2


def test_measuring_leaves_the_callers_random_state_as_it_was() -> None:
    before = torch.get_rng_state()
    bf16_gain(2, 2)
    matmul_rate(CPU, torch.float32, (2, 2, 2))
    assert torch.equal(torch.get_rng_state(), before)
