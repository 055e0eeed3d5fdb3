import pytest
import torch

from gptkit.bench import peak
from gptkit.bench.peak import matmul_peak, rate

CPU = torch.device("cpu")


def test_the_peak_is_that_of_the_best_product(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {(2, 2, 2): 3.0, (4, 4, 4): 9.0, (8, 8, 8): 5.0}
    monkeypatch.setattr(peak, "rate", lambda product, device, dtype: rates[product])
    assert matmul_peak(CPU, torch.float16, tuple(rates)) == 9.0


def test_a_rate_is_the_operations_of_a_product_by_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "seconds_of", lambda contestant, calls, device: 0.5)
    assert rate((10, 20, 30), CPU, torch.float32) == 2 * 10 * 20 * 30 / 0.5


def test_it_is_measured() -> None:
    assert 1e6 < rate((64, 64, 64), CPU, torch.float32) < 1e14
