import torch
from torch import Tensor

from gptkit.components.optimizer.muon import MuonOptimizer
from gptkit.interfaces import ParameterGroups
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
