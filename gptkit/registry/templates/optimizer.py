"""An optimizer to start from: gradient descent with momentum, its weights decaying."""

from collections.abc import Callable

import torch
from pydantic import NonNegativeFloat, PositiveFloat

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Optimizer, ParameterGroups, Probability


class MineOptimizer(Optimizer):
    """Gradient descent with Nesterov's momentum; weights decay, but not biases and gains.

    Change: what `build` returns, any `torch.optim.Optimizer`, and the options, which are the keyword-only,
    annotated parameters of the constructor.

    Promised: every parameter is in exactly one group, whose `lr` the schedule scales; and what `state_dict` saved,
    `load_state_dict` brings back, so that training goes on bit for bit.

    Args:
        momentum: Share of its last step that a weight goes again.
        weight_decay: Share of a weight that a step at learning rate 1 removes.

    Source:
        Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 1.
    """

    def __init__(
        self,
        *,
        learning_rate: PositiveFloat = 0.1,
        momentum: Probability = 0.9,
        weight_decay: NonNegativeFloat = 0.01,
    ) -> None:
        self.learning_rate, self.momentum, self.weight_decay = learning_rate, momentum, weight_decay

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return DecayingSGD(
            [
                {"params": groups.matrices + groups.embeddings, "decay": self.weight_decay},
                {"params": groups.vectors, "decay": 0.0},
            ],
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.momentum > 0,
        )


class DecayingSGD(torch.optim.SGD):
    """`torch.optim.SGD` whose weights decay by themselves, not by way of the gradient and its momentum."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Let the weights decay, then take a step."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.mul_(1 - group["lr"] * group["decay"])
        return super().step(closure)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineOptimizer)
