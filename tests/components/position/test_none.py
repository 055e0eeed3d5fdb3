"""No positions."""

import torch

from gptkit.components.position.none import NoPosition
from gptkit.testing.case import Case


def test_it_does_nothing() -> None:
    case = Case()
    position, x = case.build(NoPosition), case.x()
    q, k, _ = case.qkv()
    assert position.embed(x, 3) is x
    assert position.rotate(q, k, torch.tensor(3)) == (q, k)
    assert list(position.parameters()) == []
