import math

import pytest
import torch
from torch import Tensor

from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.components.optimizer.muon import MuonOptimizer
from gptkit.components.schedule.constant import ConstantSchedule
from gptkit.errors import NumericsError
from gptkit.training import train as module
from gptkit.training.finite_guard import FiniteGuard, can_defer
from gptkit.training.train import Step, new_scaler, train
from tests.small import all_parameters, same_weights, small_model, small_settings, small_tokens

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
FINITE, INFINITE = torch.tensor(1.0), torch.tensor(math.inf)


def deferring() -> FiniteGuard:
    weight = torch.nn.Parameter(torch.ones(3))
    return FiniteGuard(torch.optim.AdamW([weight], fused=True), CPU, is_deferred=True)


@pytest.mark.parametrize(("loss", "norm"), [(INFINITE, FINITE), (FINITE, INFINITE), (-FINITE * math.nan, FINITE)])
def test_a_guard_that_waits_answers_at_once(loss: Tensor, norm: Tensor) -> None:
    guard = FiniteGuard(torch.optim.SGD([torch.nn.Parameter(torch.ones(3))]), CPU, is_deferred=False)
    assert not guard.check(1, FINITE, FINITE)
    assert guard.check(2, loss, norm)


def test_a_guard_that_does_not_wait_remembers_the_first() -> None:
    guard = deferring()
    assert not guard.check(1, FINITE, FINITE)
    assert guard.first_nonfinite() is None
    assert not guard.check(2, 3 * FINITE, INFINITE)
    assert not guard.check(3, INFINITE, FINITE)
    assert not guard.check(4, FINITE, FINITE)
    assert guard.first_nonfinite() == (2, 3.0, math.inf)


def test_only_steps_that_the_device_can_leave_out_are_left_to_it() -> None:
    groups = small_model().parameter_groups()
    adamw, muon = AdamWOptimizer().build(groups), MuonOptimizer().build(groups)
    plain = torch.optim.AdamW(all_parameters(groups), fused=False)
    without = new_scaler(CPU, "fp32")
    assert can_defer(adamw, CUDA, without)
    assert not can_defer(adamw, CPU, without)
    assert not can_defer(muon, CUDA, without)
    assert not can_defer(plain, CUDA, without)


def test_steps_after_one_that_is_not_finite_are_not_applied_and_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on CUDA, whose optimizer the one for CPUs resembles in this."""
    monkeypatch.setattr(module, "can_defer", lambda *_: True)
    real = module.losses_of
    monkeypatch.setattr(
        module, "losses_of", lambda model, batch: real(model, batch) * (math.inf if batch.step == 2 else 1)
    )

    def steps(model: torch.nn.Module, count: int) -> list[Step]:
        optimizer = AdamWOptimizer(learning_rate=1e-2).build(model.parameter_groups())  # type: ignore[operator]
        return list(train(model, small_tokens(), optimizer, ConstantSchedule(9), small_settings(max_iters=count)))  # type: ignore[arg-type]

    model, good = small_model(), small_model()
    taken = steps(model, 5)
    assert same_weights(good, small_model())
    steps(good, 2)
    assert same_weights(model, good)
    with pytest.raises(NumericsError, match=r"^step 3: the loss is inf and the gradient's norm nan"):
        taken[4].confirm()
