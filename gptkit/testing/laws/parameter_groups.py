"""Laws of every optimizer about its groups: their learning rates, gradients of zero, and packed weights."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from gptkit.interfaces import ParameterGroups
from gptkit.testing.elsewhere import elsewhere
from gptkit.testing.laws.optimizer import Bowl, BowlCase, Make

# Largest difference, of what steps change, between a packed matrix and the same one by itself: products of other
# shapes round otherwise.
ROUNDING = 1e-3


def each_group_follows_its_rate(make: Make, case: BowlCase) -> None:
    """Assert that a group whose learning rate is 0 does not change, while all others do."""
    count = len(make().build(Bowl(case).groups).param_groups)
    for still in range(count):
        bowl = Bowl(case)
        optimizer = make().build(bowl.groups)
        rates = [group["lr"] for group in optimizer.param_groups]
        bowl.descend(optimizer, 2)
        if rates != [group["lr"] for group in optimizer.param_groups]:
            raise AssertionError(f"its steps change a learning rate, which the schedule sets ({case})")
        before = {weight: weight.detach().clone() for weight in bowl.weights}
        optimizer.param_groups[still]["lr"] = 0.0 * optimizer.param_groups[still]["lr"]
        bowl.descend(optimizer, 1)
        for i, group in enumerate(optimizer.param_groups):
            for weight in group["params"]:
                if weight.equal(before[weight]) != (i == still):
                    does = "does not change" if i != still else "changes"
                    raise AssertionError(
                        f"with the learning rate of group {still} at 0, a weight of group {i} {does} ({case})"
                    )


def decay_follows_the_learning_rate(make: Make, case: BowlCase) -> None:
    """Assert that where gradients are 0, weights stay numbers, and decay less at half the learning rate."""
    drifts = {share: drift(make, case, share) for share in (1.0, 0.5)}
    if not all(map(torch.isfinite, drifts.values())):
        raise AssertionError(f"a step along gradients of 0 makes weights that are not finite ({case})")
    if drifts[1.0] and not drifts[0.5] < drifts[1.0]:
        raise AssertionError(
            f"along gradients of 0, weights decay by {drifts[0.5]:.6g} at half the learning rate and by "
            f"{drifts[1.0]:.6g} at all of it ({case})"
        )


def drift(make: Make, case: BowlCase, share: float) -> Tensor:
    """Return the length of a step along gradients of 0, taken at a share of the learning rate."""
    bowl = Bowl(case)
    optimizer = make().build(bowl.groups)
    before = [weight.detach().clone() for weight in bowl.weights]
    for group in optimizer.param_groups:
        group["lr"] = share * group["lr"]
    for weight in bowl.weights:
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    moved = zip(bowl.weights, before, strict=True)
    return torch.stack([(new.detach() - old).double().square().sum() for new, old in moved]).sum().sqrt()


def trains_packed_weights_as_separate(make: Make, case: BowlCase) -> None:
    """Assert that matrices which a part stacks in one parameter are trained as they would be one by one."""
    separate, packed = Bowl(case), stacked(Bowl(case))
    before = torch.cat([weight.detach().clone() for weight in separate.groups.matrices])
    for bowl in (separate, packed):
        bowl.descend(make().build(bowl.groups), 5)
    expected = torch.cat([weight.detach() for weight in separate.groups.matrices])
    off = (packed.groups.matrices[0].detach() - expected).abs().max()
    if not off <= ROUNDING * (expected - before).abs().max():
        raise AssertionError(f"packed into one parameter, a weight is off by {off:.3g} after 5 steps ({case})")


def stacked(bowl: Bowl) -> Bowl:
    """Return the bowl with both matrices stacked in one parameter, as a part that packs its weights has them."""
    one, other = bowl.groups.matrices
    both = nn.Parameter(torch.cat((one, other)).detach())
    rows: dict[Tensor, list[int]] = {both: [len(one), len(other)]}
    bowl.groups = ParameterGroups([both], bowl.groups.embeddings, bowl.groups.vectors, rows)
    bowl.weights = [both, *bowl.weights[2:]]
    bowl.minimum = [torch.cat(bowl.minimum[:2]), *bowl.minimum[2:]]
    return bowl


def depends_on_its_gradients_alone(make: Make, case: BowlCase) -> None:
    """Assert that steps depend on no clock, process, environment or random state, and on no other optimizer."""
    first, moved, built, other = Bowl(case), Bowl(case), Bowl(case), Bowl(replace(case, seed=case.seed + 1))
    part = make()
    first.descend(part.build(first.groups), 4)
    moved.descend(optimizer := part.build(moved.groups), 2)
    with elsewhere(part, optimizer, number=case.seed):
        moved.descend(optimizer, 1)
        later = [(bowl, make().build(bowl.groups)) for bowl in (other, built)]
        for _ in range(4):
            for bowl, each in later:
                bowl.descend(each, 1)
        moved.descend(optimizer, 1)
    for found, expected in zip([*moved.weights, *built.weights], 2 * first.weights, strict=True):
        if not found.equal(expected):
            off = (found - expected).abs().max().item()
            raise AssertionError(f"at another time, in another environment, a weight is off by {off:.3g} ({case})")
