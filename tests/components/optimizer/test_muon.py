from typing import Any

import torch
from torch import Tensor, nn

from gptkit.components.optimizer.muon import MuonOptimizer
from gptkit.interfaces import ParameterGroups
from gptkit.optim import Muon, orthogonalized
from tests.small import small_model


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_the_rest() -> None:
    model = small_model()
    optimizer = MuonOptimizer().build(model.parameter_groups())
    by_muon = [weight for group in optimizer.param_groups if "momentum" in group for weight in group["params"]]
    blocks = [weight for weight in model.blocks.parameters() if weight.ndim == 2]
    assert list(map(id, by_muon)) == list(map(id, blocks))


def test_a_step_on_a_matrix_turns_every_direction_alike() -> None:
    weight = torch.nn.Parameter(torch.zeros(6, 6))
    optimizer = MuonOptimizer(learning_rate=0.1, weight_decay=0.0).build(
        ParameterGroups(matrices=[weight], embeddings=[], vectors=[])
    )
    weight.grad = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    optimizer.step()
    stretched = torch.linalg.svdvals(weight.detach())
    assert stretched.max() / stretched.min() < 2


def test_a_model_may_have_no_matrices() -> None:
    kernel, bias = torch.nn.Parameter(torch.ones(2, 2, 2)), torch.nn.Parameter(torch.ones(2))
    optimizer = MuonOptimizer().build(ParameterGroups(matrices=[kernel], embeddings=[], vectors=[bias]))
    step_down(optimizer, [kernel, bias])
    assert (kernel < 1).all()
    assert (bias < 1).all()


def test_weights_of_three_axes_are_left_to_adamw() -> None:
    kernel = torch.nn.Parameter(torch.ones(2, 2, 2))
    matrix = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = MuonOptimizer(weight_decay=0.0).build(
        ParameterGroups(matrices=[matrix, kernel], embeddings=[], vectors=[])
    )
    step_down(optimizer, [matrix, kernel])
    assert (kernel < 1).all()


def test_the_schedule_reaches_both() -> None:
    model = small_model()
    before = [weight.clone() for weight in model.parameters()]
    optimizer = MuonOptimizer().build(model.parameter_groups())
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    step_down(optimizer, list(model.parameters()))
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_a_closure_is_called_with_gradients_on() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = MuonOptimizer().build(ParameterGroups(matrices=[weight], embeddings=[], vectors=[]))

    def closure() -> float:
        loss = weight.square().sum()
        loss.backward()
        return float(loss.detach())

    assert optimizer.step(closure) == 4.0
    assert (weight < 1).all()


def step_down(optimizer: torch.optim.Optimizer, weights: list[Tensor]) -> None:
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()


SHAPES = [(8, 8), (8, 8), (24, 8), (8, 24), (5, 7)]


def pairs(shapes: list[tuple[int, int]]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the same weights twice."""
    draws = torch.Generator().manual_seed(3)
    drawn = [torch.randn(shape, generator=draws) for shape in shapes]
    first, second = ([nn.Parameter(weight.clone()) for weight in drawn] for _ in range(2))
    return first, second


def learn(optimizer: torch.optim.Optimizer, weights: list[nn.Parameter], gradients: list[Tensor]) -> None:
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient.clone()
    optimizer.step()


def test_in_pytorchs_precision_it_is_pytorchs_muon() -> None:
    ours, theirs = pairs(SHAPES)
    options: dict[str, Any] = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.3}
    mine = Muon(ours, **options, dtype=torch.bfloat16)
    reference = torch.optim.Muon(theirs, **options, adjust_lr_fn="match_rms_adamw")
    draws = torch.Generator().manual_seed(4)
    for _ in range(5):
        gradients = [torch.randn(weight.shape, generator=draws) for weight in ours]
        learn(mine, ours, gradients)
        learn(reference, theirs, gradients)
    for a, b in zip(ours, theirs, strict=True):
        # A hundredth of a step: the batched product rounds in another order.
        torch.testing.assert_close(a, b, rtol=0, atol=0.01 * 0.02)


def test_on_a_cpu_directions_are_those_of_float64() -> None:
    draws = torch.Generator().manual_seed(5)
    matrices = torch.randn(3, 6, 10, generator=draws)
    exact = orthogonalized(matrices.double(), torch.float64).float()
    torch.testing.assert_close(orthogonalized(matrices), exact, rtol=0, atol=1e-5)
    assert not torch.allclose(orthogonalized(matrices, torch.bfloat16), exact, rtol=0, atol=1e-3)


def test_a_weight_without_a_gradient_stays_as_it_is() -> None:
    first, second = (nn.Parameter(torch.ones(2, 2)) for _ in range(2))
    optimizer = Muon([first, second], lr=0.1)
    first.grad = torch.ones(2, 2)
    optimizer.step()
    assert not torch.equal(first, torch.ones(2, 2))
    assert torch.equal(second, torch.ones(2, 2))


def test_each_packed_matrix_of_a_model_is_known() -> None:
    groups = small_model().parameter_groups()
    assert sorted(map(tuple, groups.packed.values())) == [(8, 8, 8), (8, 8, 8)]
    assert all(any(weight is each for each in groups.matrices) for weight in groups.packed)
