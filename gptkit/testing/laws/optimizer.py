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
        more_rows: Of the second matrix.
        axes: Of the first matrix.
        left_out: The kind of weights of which there are none: "matrices", "embeddings" or "vectors".
        scalar: Whether there is a weight of one number besides the vector.
    """

    rows: int = 4
    columns: int = 6
    more_rows: int = 0
    axes: int = 2
    left_out: str = ""
    scalar: bool = False
    seed: int = 0

    def __str__(self) -> str:
        """Return the values from which the weights are drawn."""
        unusual = replace(self, rows=4, columns=6, seed=0).to_json().strip("{}")
        return f"rows={self.rows} columns={self.columns} seed={self.seed} {unusual}".rstrip()


class Bowl:
    """Weights of every kind that a model has, and a convex loss with one minimum."""

    def __init__(self, case: BowlCase) -> None:
        shapes: dict[str, list[tuple[int, ...]]] = {
            "matrices": [
                (case.rows, case.columns, *[2] * (case.axes - 2)),
                (case.rows + case.more_rows, case.columns),
            ],
            "embeddings": [(7, case.columns)],
            "vectors": [(case.columns,), *([()] if case.scalar else [])],
        }
        drawn: dict[str, Any] = {
            name: [
                nn.Parameter(draw(case, name, i, *shape)) for i, shape in enumerate(each) if name != case.left_out
            ]
            for name, each in shapes.items()
        }
        self.groups = ParameterGroups(**drawn)
        self.weights = [*self.groups.matrices, *self.groups.embeddings, *self.groups.vectors]
        self.minimum = [draw(case, "lowest", i, *weight.shape) for i, weight in enumerate(self.weights)]

    def loss(self) -> Float[Tensor, ""]:
        """Return half the squared distance from the minimum."""
        pairs = zip(self.weights, self.minimum, strict=True)
        return torch.stack([(weight - minimum).square().sum() / 2 for weight, minimum in pairs]).sum()

    def descend(self, optimizer: torch.optim.Optimizer, steps: int) -> None:
        """Take some steps."""
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            self.loss().backward()
            optimizer.step()


def draw(case: BowlCase, purpose: str, i: int, *shape: int) -> Float[Tensor, "..."]:
    """Return normal numbers, drawn from the case's seed and a purpose."""
    return torch.randn(shape, generator=generator(case.seed, purpose, i))


def lowers_a_convex_loss(make: Make, case: BowlCase) -> None:
    """Assert that its steps lower a convex loss."""
    bowl = Bowl(case)
    before = bowl.loss().item()
    bowl.descend(make().build(bowl.groups), STEPS)
    after = bowl.loss().item()
    if not after < before * (1 - 1e-4):
        raise AssertionError(f"{STEPS} steps take a convex loss from {before:.6g} to {after:.6g} ({case})")


def moves_every_kind_of_weight(make: Make, case: BowlCase) -> None:
    """Assert that its steps change matrices, embeddings and vectors."""
    bowl = Bowl(case)
    before = [weight.detach().clone() for weight in bowl.weights]
    bowl.descend(make().build(bowl.groups), 3)
    for name in ("matrices", "embeddings", "vectors"):
        for weight in getattr(bowl.groups, name):
            i = next(i for i, each in enumerate(bowl.weights) if each is weight)
            if weight.equal(before[i]):
                raise AssertionError(f"three steps do not change one of the {name} ({case})")


def takes_each_weight_once(make: Make, case: BowlCase) -> None:
    """Assert that every weight is in exactly one parameter group."""
    bowl = Bowl(case)
    optimizer = make().build(bowl.groups)
    found = sorted(id(weight) for group in optimizer.param_groups for weight in group["params"])
    if found != sorted(map(id, bowl.weights)):
        raise AssertionError(
            f"its groups hold {len(found)} weights, expected each of {len(bowl.weights)} once ({case})"
        )


def follows_the_learning_rate(make: Make, case: BowlCase) -> None:
    """Assert that a step is shorter at half the learning rate, and changes nothing at a learning rate of 0."""
    steps = {share: step_length(make, case, share) for share in (1.0, 0.5, 0.0)}
    if steps[0.0]:
        raise AssertionError(f"a step at a learning rate of 0 changes weights ({case})")
    if not 0 < steps[0.5] < steps[1.0]:
        raise AssertionError(
            f"a step has length {steps[0.5]:.6g} at half the learning rate, {steps[1.0]:.6g} at all of it ({case})"
        )


def step_length(make: Make, case: BowlCase, share: float) -> float:
    """Return the length of the third step, taken at a share of the learning rate."""
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
    """Assert that a weight without a gradient raises no error and does not change."""
    bowl = Bowl(case)
    optimizer = make().build(bowl.groups)
    left_out = bowl.groups.embeddings[0]
    bowl.loss().backward()
    left_out.grad, before = None, left_out.detach().clone()
    optimizer.step()
    if not left_out.equal(before):
        raise AssertionError(f"a weight without a gradient changes ({case})")


def state_is_data(make: Make, case: BowlCase) -> None:
    """Assert that its state holds only tensors, numbers, strings, dicts and lists: it is saved without pickle."""
    bowl = Bowl(case)
    optimizer = make().build(bowl.groups)
    bowl.descend(optimizer, 2)
    for where, value in leaves(optimizer.state_dict(), "state_dict()"):
        if not isinstance(value, Tensor | bool | int | float | str | None):
            raise AssertionError(f"{where} is a {type(value).__name__}, which a checkpoint cannot hold ({case})")


def leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Yield each value inside nested dicts and lists, after the expression that reaches it."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from leaves(inside, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for i, inside in enumerate(value):
            yield from leaves(inside, f"{where}[{i}]")
    else:
        yield where, value


def goes_on_from_its_state(make: Make, case: BowlCase) -> None:
    """Assert that an optimizer that loads a saved state takes the same next steps, bit for bit."""
    first, second = Bowl(case), Bowl(replace(case, seed=case.seed + 1))
    one, other = make().build(first.groups), make().build(second.groups)
    first.descend(one, 3)
    saved = deepcopy(one.state_dict())
    other.load_state_dict(saved)
    second.minimum = first.minimum
    with torch.no_grad():
        for old, new in zip(first.weights, second.weights, strict=True):
            new.copy_(old)
    # The state must survive a second save, too.
    other.load_state_dict(deepcopy(other.state_dict()))
    for bowl, optimizer in ((first, one), (second, other)):
        bowl.descend(optimizer, 3)
    for expected, found in zip(first.weights, second.weights, strict=True):
        if not found.equal(expected):
            off = (found - expected).abs().max().item()
            raise AssertionError(f"3 steps after it loads its saved state, a weight is off by {off:.3g} ({case})")
