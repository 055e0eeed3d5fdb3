import os

import pytest
import torch

from gptkit.bench.memory import peak_bytes, silent_stderr

CPU = torch.device("cpu")
# What a number takes that is a tensor for a moment, some times over.
SMALL = 100


def test_the_peak_is_what_is_held_at_once() -> None:
    x = torch.ones(10_000)

    def one_after_another() -> None:
        for _ in range(5):
            x.clone()

    def together() -> None:
        _ = [x.clone() for _ in range(5)]

    assert 40_000 <= peak_bytes(one_after_another, CPU) < 40_000 + SMALL
    assert 200_000 <= peak_bytes(together, CPU) < 200_000 + SMALL


def test_what_was_held_before_is_not_counted() -> None:
    held = [torch.ones(10_000)]

    def swap() -> None:
        held.clear()
        held.append(torch.ones(5_000))

    assert 20_000 <= peak_bytes(swap, CPU) < 20_000 + SMALL


def test_a_backward_pass_is_counted() -> None:
    x = torch.ones(10_000, requires_grad=True)
    assert peak_bytes(lambda: x.exp().sum().backward(), CPU) >= 80_000


def test_standard_error_is_heard_again(capfd: pytest.CaptureFixture[str]) -> None:
    with silent_stderr():
        os.write(2, b"noise\n")
    os.write(2, b"word\n")
    assert capfd.readouterr().err == "word\n"


def test_the_profiler_is_not_heard(capfd: pytest.CaptureFixture[str]) -> None:
    peak_bytes(lambda: torch.ones(3), CPU)
    assert capfd.readouterr() == ("", "")


def test_a_device_that_does_not_tell() -> None:
    with pytest.raises(ValueError, match=r"^the memory of a call is known on cpu and cuda, not on meta$"):
        peak_bytes(lambda: None, torch.device("meta"))


@pytest.mark.cuda
def test_the_peak_on_a_gpu() -> None:
    device = torch.device("cuda")
    x = torch.ones(2**20, device=device)
    assert peak_bytes(lambda: [x.clone() for _ in range(3)], device) == 3 * 4 * 2**20
