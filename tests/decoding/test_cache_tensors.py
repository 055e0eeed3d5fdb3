"""The tensors of a cache, which a compiled step or a graph reads and writes in place."""

import torch

from gptkit.decoding.cache_tensors import copy_state
from gptkit.interfaces import LayerCache


class Pair(LayerCache):
    def __init__(self, first: torch.Tensor, second: torch.Tensor) -> None:
        self.first, self.second = first, second


def test_tensors_that_have_changed_places_are_copied_as_they_were() -> None:
    one, two = torch.ones(2), torch.full((2,), 2.0)
    target = Pair(one, two)
    copy_state(target, Pair(two, one))
    assert (target.first is one, target.second is two) == (True, True)
    assert (one.tolist(), two.tolist()) == ([2.0, 2.0], [1.0, 1.0])
