import torch

from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.interfaces import ParameterGroups


def test_one_step_is_the_papers() -> None:
    weight = torch.nn.Parameter(torch.tensor([[1.0, -2.0]]))
    groups = ParameterGroups(matrices=[weight], embeddings=[], vectors=[])
    optimizer = AdamWOptimizer(learning_rate=0.1, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.5).build(groups)
    weight.grad = torch.tensor([[0.3, -0.4]])
    optimizer.step()
    # At the first step the corrected means are the gradient and its square: their quotient is a sign.
    torch.testing.assert_close(
        weight.detach(), torch.tensor([[1.0, -2.0]]) * (1 - 0.05) - torch.tensor([0.1, -0.1])
    )


def test_options_reach_every_group() -> None:
    weight, bias = (torch.nn.Parameter(torch.ones(*shape)) for shape in ((2, 2), (2,)))
    optimizer = AdamWOptimizer(learning_rate=0.5, betas=(0.1, 0.2), eps=0.3, weight_decay=0.4).build(
        ParameterGroups(matrices=[], embeddings=[weight], vectors=[bias])
    )
    found = [
        (group["lr"], group["betas"], group["eps"], group["weight_decay"]) for group in optimizer.param_groups
    ]
    assert found == [(0.5, (0.1, 0.2), 0.3, 0.4), (0.5, (0.1, 0.2), 0.3, 0.0)]
