import pytest
import torch

from gptkit.tuning.machine import choose_device
from tests.tuning.conftest import machine

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


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
