"""Which experts compute a position, and what the balance costs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from gptkit.nn.auxiliary_losses import collected_losses
from gptkit.registry.loader import import_file
from tests.small import small_dims

PLUGIN: Any = import_file(Path(__file__).parents[2] / "plugins" / "mixture_of_experts.py")
X = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))


def mixture(**options: Any) -> Any:
    torch.manual_seed(0)
    part = PLUGIN.MixtureOfExperts(small_dims(), **options)
    for weight in part.parameters():
        torch.nn.init.normal_(weight)
    return part


def test_a_position_is_the_sum_of_its_experts_weighted_by_their_probabilities() -> None:
    part = mixture(experts=3, top_k=2, expand=2)
    found, probabilities = part(X), part.router(X).softmax(-1)
    widen, narrow = part.widen.weight.view(3, 16, 8), part.narrow.weight.view(3, 8, 16)
    for b, t in ((0, 0), (1, 3)):
        x, p = X[b, t], probabilities[b, t]
        expected = sum(p[e] * (narrow[e] @ F.gelu(widen[e] @ x)) for e in p.argsort(descending=True)[:2])
        torch.testing.assert_close(found[b, t], expected)


@pytest.mark.parametrize("top_k", [1, 2])
def test_the_balance_is_1_for_equal_shares_and_more_where_one_expert_gets_all(top_k: int) -> None:
    part = mixture(experts=4, top_k=top_k, balance=0.5)
    even = torch.full((1, 4, 4), 0.25)
    chosen = torch.stack([torch.arange(4), (torch.arange(4) + 1) % 4], dim=-1)[None, :, :top_k]
    assert part.imbalance(even, chosen).item() == 1
    sure = torch.tensor([1.0, 0, 0, 0]).expand(1, 4, 4)
    assert part.imbalance(sure, torch.zeros(1, 4, 1, dtype=torch.int64)).item() == 4


def test_the_loss_is_reported_in_training_alone() -> None:
    part = mixture(balance=0.5)
    with collected_losses(part) as losses:
        part.eval()(X)
        assert losses == []
        part.train()(X)
    (loss,) = losses
    probabilities = part.router(X).softmax(-1)
    share = F.one_hot(probabilities.topk(2).indices, 4).sum((0, 1, 2)) / 20
    torch.testing.assert_close(loss, 0.5 * 4 * (share * probabilities.mean((0, 1))).sum())


def test_more_choices_than_experts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^top_k = 5, but there are only experts = 4: take at most 4$"):
        mixture(top_k=5)
