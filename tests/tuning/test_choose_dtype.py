import itertools

import pytest
import torch

from gptkit.tuning import machine as module
from gptkit.tuning.machine import bf16_gain, choose_dtype
from tests.tuning.conftest import machine

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


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
    monkeypatch.setattr(module, "bf16_gain", lambda tokens, n_embd: gain)
    choice = choose_dtype("auto", CPU, 64, 8)
    assert (choice.value, choice.reason) == (value, reason)


@pytest.mark.parametrize(("gain", "measured"), [(0.1, [module.FEW_TOKENS]), (0.9, [module.FEW_TOKENS, 2000])])
def test_many_tokens_are_measured_only_where_few_leave_it_open(
    monkeypatch: pytest.MonkeyPatch, gain: float, measured: list[int]
) -> None:
    asked: list[int] = []

    def measure(tokens: int, n_embd: int) -> float:
        asked.append(tokens)
        return gain

    monkeypatch.setattr(module, "bf16_gain", measure)
    assert choose_dtype("auto", CPU, 2000, 8).value == "fp32"
    assert asked == measured


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


@machine("cuda", "emulated bf16")
def test_emulated_bf16_is_used_only_where_the_recipe_says_so(devices: None) -> None:
    assert choose_dtype("auto", CUDA, 64, 8).value == "fp32"
    assert choose_dtype("bf16", CUDA, 64, 8).value == "bf16"


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


def test_measuring_leaves_the_callers_random_state_as_it_was() -> None:
    before = torch.get_rng_state()
    bf16_gain(2, 2)
    assert torch.equal(torch.get_rng_state(), before)
