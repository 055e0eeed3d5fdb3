"""Laws of every optimizer."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.interfaces import Optimizer, ParameterGroups
from gptkit.seeds import generator
from gptkit.testing.input import Input

Make = Callable[[], Optimizer]
STEPS = 50


@dataclass(frozen=True, kw_only=True)
class BowlCase(Input):
    """A convex loss: half the squared distance of all weights from a point.

    Args:
        rows: Of each matrix.
        columns: Of each matrix, and the length of each vector.
    """

    rows: int = 4
    columns: int = 6
    seed: int = 0

    def __str__(self) -> str:
        """Return what it takes to draw the weights again."""
        return f"rows={self.rows} columns={self.columns} seed={self.seed}"


class Bowl:
    """Weights of every kind that a model has, and a loss with one lowest point."""

    def __init__(self, case: BowlCase) -> None:
        shapes: dict[str, list[tuple[int, ...]]] = {
            "matrices": [(case.rows, case.columns), (case.rows, case.columns)],
            "embeddings": [(7, case.columns)],
            "vectors": [(case.columns,)],
        }
        drawn = {
            name: [nn.Parameter(draw(case, name, i, *shape)) for i, shape in enumerate(each)]
            for name, each in shapes.items()
        }
        self.groups = ParameterGroups(**drawn)
        self.weights = [*self.groups.matrices, *self.groups.embeddings, *self.groups.vectors]
        self.lowest = [draw(case, "lowest", i, *weight.shape) for i, weight in enumerate(self.weights)]

    def loss(self) -> Float[Tensor, ""]:
        """Return half the squared distance from the lowest point."""
        pairs = zip(self.weights, self.lowest, strict=True)
        return torch.stack([(weight - lowest).square().sum() / 2 for weight, lowest in pairs]).sum()

    def descend(self, optimizer: torch.optim.Optimizer, steps: int) -> None:
        """Take some steps."""
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            self.loss().backward()
            optimizer.step()


def draw(case: BowlCase, purpose: str, i: int, *shape: int) -> Float[Tensor, "..."]:
    """Return normal numbers for one purpose."""
    return torch.randn(shape, generator=generator(case.seed, purpose, i))


def lowers_a_convex_loss(make: Make, case: BowlCase) -> None:
    """Assert that steps lead down."""
    bowl = Bowl(case)
    before = bowl.loss().item()
    bowl.descend(make().build(bowl.groups), STEPS)
    after = bowl.loss().item()
    if not after < before * (1 - 1e-4):
        raise AssertionError(f"after {STEPS} steps a convex loss of {before:.6g} is {after:.6g} ({case})")


def moves_every_kind_of_weight(make: Make, case: BowlCase) -> None:
    """Assert that a step changes matrices, embeddings and vectors."""
    bowl = Bowl(case)
    before = [weight.detach().clone() for weight in bowl.weights]
    bowl.descend(make().build(bowl.groups), 3)
    for name in ("matrices", "embeddings", "vectors"):
        for weight in getattr(bowl.groups, name):
            i = next(i for i, each in enumerate(bowl.weights) if each is weight)
            if weight.equal(before[i]):
                raise AssertionError(f"three steps leave one of the {name} as it was ({case})")


def takes_each_weight_once(make: Make, case: BowlCase) -> None:
    """Assert that every weight is in exactly one of the optimizer's groups."""
    bowl = Bowl(case)
    optimizer = make().build(bowl.groups)
    found = sorted(id(weight) for group in optimizer.param_groups for weight in group["params"])
    if found != sorted(map(id, bowl.weights)):
        raise AssertionError(
            f"of {len(bowl.weights)} weights its groups hold {len(found)}, not each once ({case})"
        )


def follows_the_learning_rate(make: Make, case: BowlCase) -> None:
    """Assert that a step is as far as the rate that a schedule sets says: shorter at a half, and none at zero."""
    steps = {share: step_of(make, case, share) for share in (1.0, 0.5, 0.0)}
    if steps[0.0]:
        raise AssertionError(f"at a learning rate of 0 a step changes weights ({case})")
    if not 0 < steps[0.5] < steps[1.0]:
        raise AssertionError(
            f"a step at half of the learning rate is {steps[0.5]:.6g} long, at all of it {steps[1.0]:.6g} ({case})"
        )


def step_of(make: Make, case: BowlCase, share: float) -> float:
    """Return the length of the third step, at a share of the learning rate."""
    bowl = Bowl(case)
    optimizer = make().build(bowl.groups)
    bowl.descend(optimizer, 2)
    before = [weight.detach().clone() for weight in bowl.weights]
    for group in optimizer.param_groups:
        group["lr"] = share * group["lr"]
    bowl.descend(optimizer, 1)
    moved = zip(bowl.weights, before, strict=True)
    return sum((new.detach() - old).double().square().sum().item() for new, old in moved) ** 0.5


def leaves_out_what_has_no_gradient(make: Make, case: BowlCase) -> None:
    """Assert that a weight which took no part in a loss is no error, and stays as it is."""
    bowl = Bowl(case)
    optimizer = make().build(bowl.groups)
    left_out = bowl.groups.embeddings[0]
    bowl.loss().backward()
    left_out.grad, before = None, left_out.detach().clone()
    optimizer.step()
    if not left_out.equal(before):
        raise AssertionError(f"a weight without a gradient changes ({case})")


def state_is_data(make: Make, case: BowlCase) -> None:
    """Assert that the state is tensors, numbers, strings and tables of them: it is saved without pickle."""
    bowl = Bowl(case)
    optimizer = make().build(bowl.groups)
    bowl.descend(optimizer, 2)
    for where, value in leaves(optimizer.state_dict(), "state_dict()"):
        if not isinstance(value, Tensor | bool | int | float | str | None):
            raise AssertionError(f"{where} is a {type(value).__name__}, which no checkpoint holds ({case})")


def leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Yield each value that is no table or list, and where it stands."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from leaves(inside, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for i, inside in enumerate(value):
            yield from leaves(inside, f"{where}[{i}]")
    else:
        yield where, value


def goes_on_from_its_state(make: Make, case: BowlCase) -> None:
    """Assert that a new optimizer with a saved state takes the same steps, to the last bit."""
    first, second = Bowl(case), Bowl(replace(case, seed=case.seed + 1))
    one, other = make().build(first.groups), make().build(second.groups)
    first.descend(one, 3)
    saved = deepcopy(one.state_dict())
    other.load_state_dict(saved)
    second.lowest = first.lowest
    with torch.no_grad():
        for old, new in zip(first.weights, second.weights, strict=True):
            new.copy_(old)
    # A second save must hold all of it too.
    other.load_state_dict(deepcopy(other.state_dict()))
    for bowl, optimizer in ((first, one), (second, other)):
        bowl.descend(optimizer, 3)
    for expected, found in zip(first.weights, second.weights, strict=True):
        if not found.equal(expected):
            off = (found - expected).abs().max().item()
            raise AssertionError(f"resumed from its saved state, it is off by {off:.3g} after 3 steps ({case})")
