import pytest
import torch
from torch import Tensor

from gptkit.interfaces import ParameterGroups
from gptkit.registry.loader import Plugins
from gptkit.registry.registry import Entry
from tests.small import all_parameters, small_model

optimizers = pytest.mark.parametrize("entry", Plugins().registry.of("optimizer"), ids=lambda entry: entry.name)


def build(entry: Entry, groups: ParameterGroups, **options: float) -> torch.optim.Optimizer:
    return entry.part(**options).build(groups)


def bowl(seed: int) -> ParameterGroups:
    """Return weights of every sort, away from the minimum of `depth`."""
    draws = torch.Generator().manual_seed(seed)
    matrix, embedding, vector = (
        [torch.nn.Parameter(torch.randn(shape, generator=draws))] for shape in ((4, 6), (5, 3), (7,))
    )
    return ParameterGroups(matrix, embedding, vector)


def depth(weights: list[Tensor]) -> Tensor:
    """Return a convex loss."""
    return torch.stack([(weight - 0.5).square().sum() for weight in weights]).sum()


@optimizers
def test_every_parameter_is_in_exactly_one_group(entry: Entry) -> None:
    model = small_model()
    optimizer = build(entry, model.parameter_groups())
    grouped = [id(weight) for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(grouped) == sorted(map(id, model.parameters()))


@optimizers
def test_weights_decay_and_vectors_do_not(entry: Entry) -> None:
    groups = bowl(0)
    before = [weight.detach().clone() for weight in all_parameters(groups)]
    optimizer = build(entry, groups, learning_rate=0.1, weight_decay=0.5)
    for weight in all_parameters(groups):
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    shares = (1 - 0.1 * 0.5, 1 - 0.1 * 0.5, 1.0)
    for old, new, share in zip(before, all_parameters(groups), shares, strict=True):
        torch.testing.assert_close(new.detach(), old * share)


@optimizers
def test_gradients_are_set_to_none(entry: Entry) -> None:
    groups = bowl(0)
    optimizer = build(entry, groups)
    depth(all_parameters(groups)).backward()
    optimizer.zero_grad()
    assert all(weight.grad is None for weight in all_parameters(groups))


@optimizers
def test_the_learning_rate_is_an_option(entry: Entry) -> None:
    optimizer = build(entry, bowl(0), learning_rate=0.25)
    assert {group["lr"] for group in optimizer.param_groups} == {0.25}


@optimizers
def test_packed_matrices_learn_as_separate_ones(entry: Entry) -> None:
    rows = (4, 2, 2)
    draws = torch.Generator().manual_seed(1)
    packed = torch.nn.Parameter(torch.randn(sum(rows), 6, generator=draws))
    separate = [torch.nn.Parameter(part.clone()) for part in packed.detach().split(rows)]
    together = build(entry, ParameterGroups([packed], [], [], {packed: rows}))
    apart = build(entry, ParameterGroups(list(separate), [], []))
    for _ in range(3):
        packed.grad = torch.randn(packed.shape, generator=draws)
        for part, gradient in zip(separate, packed.grad.split(rows), strict=True):
            part.grad = gradient.clone()
        together.step()
        apart.step()
    torch.testing.assert_close(
        packed.detach(), torch.cat([part.detach() for part in separate]), rtol=1e-5, atol=1e-6
    )
