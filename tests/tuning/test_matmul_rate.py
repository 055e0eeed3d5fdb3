import itertools

import pytest
import torch

from gptkit.tuning import matmul_rate as module
from gptkit.tuning.matmul_rate import matmul_peak, matmul_rate

CPU = torch.device("cpu")


def test_the_measured_rate_is_one_that_processors_have() -> None:
    assert 1e8 < matmul_rate(CPU, torch.float32) < 1e15
    assert 1e6 < matmul_rate(CPU, torch.bfloat16, (16, 32, 64)) < 1e15


def test_a_rate_is_the_operations_of_a_product_by_the_shortest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(itertools.chain.from_iterable((0.0, seconds) for seconds in (90.0, 3.0, 4.0, 2.0, 5.0, 6.0)))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert matmul_rate(CPU, torch.float32, (10, 20, 30)) == 2 * 10 * 20 * 30 / 2


def test_the_peak_is_that_of_the_best_product(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {(2, 2, 2): 3.0, (4, 4, 4): 9.0, (8, 8, 8): 5.0}
    monkeypatch.setattr(module, "matmul_rate", lambda device, dtype, product: rates[product])
    monkeypatch.setattr(module, "PRODUCTS", tuple(rates))
    assert matmul_peak(CPU, torch.float16) == 9.0


def test_measuring_leaves_the_callers_random_state_as_it_was() -> None:
    before = torch.get_rng_state()
    matmul_rate(CPU, torch.float32, (2, 2, 2))
    assert torch.equal(torch.get_rng_state(), before)
