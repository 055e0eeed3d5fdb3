import pytest
import torch

from gptkit.bench import peak
from gptkit.bench.peak import matmul_peak

CPU = torch.device("cpu")


def test_the_peak_is_that_of_the_best_product(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {(2, 2, 2): 3.0, (4, 4, 4): 9.0, (8, 8, 8): 5.0}
    monkeypatch.setattr(peak, "matmul_rate", lambda device, dtype, product: rates[product])
    assert matmul_peak(CPU, torch.float16, tuple(rates)) == 9.0
