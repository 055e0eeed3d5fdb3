"""AdamW without the compiler is PyTorch's, bit for bit."""

from typing import Any

import pytest
import torch
from torch import nn

from gptkit.optim import AdamW

ROUNDS = 4


def weights() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(3)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (5,))]


def trained(optimizer: type[torch.optim.AdamW], **options: Any) -> tuple[list[nn.Parameter], torch.optim.AdamW]:
    """Return weights after some steps, all but one of them with a closure, and a stop between that saves."""
    found = weights()
    built = optimizer(found, lr=0.1, weight_decay=0.3, **options)

    def loss() -> float:
        total = torch.stack([(weight**3).sum() for weight in found]).sum()
        total.backward()
        return total.item()

    for step in range(ROUNDS):
        built.zero_grad()
        if step == 1:
            loss()
            assert built.step() is None
            saved = built.state_dict()
            built = optimizer(found, lr=0.5, **options)
            built.load_state_dict(saved)
        else:
            assert built.step(loss) is not None
    return found, built


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"amsgrad": True}], ids=str)
def test_steps_and_state_are_those_of_pytorch(options: dict[str, Any]) -> None:
    (ours, mine), (theirs, its) = trained(AdamW, **options), trained(torch.optim.AdamW, **options)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(ours, weights(), strict=True))
    assert str(mine.state_dict()) == str(its.state_dict())
    assert all(weight.requires_grad for weight in ours)


def test_a_group_can_be_added() -> None:
    first, second = weights()
    optimizer = AdamW([first], lr=0.1)
    optimizer.add_param_group({"params": [second], "lr": 0.0})
    for weight in (first, second):
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert torch.equal(second, weights()[1])
    assert not torch.equal(first, weights()[0])
